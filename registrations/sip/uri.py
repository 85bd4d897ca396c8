"""SIP URIs as values, and when two of them are the same (RFC 3261 sections 19.1.1, 19.1.4)."""

from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import unquote_to_bytes

from registrations.sip.errors import SipParseError
from registrations.sip.grammar import parse_number, parse_params

_MUST_MATCH_WHEN_IN_ONE = ("user", "ttl", "method", "maddr", "transport")
"""Section 19.1.4: these, in one URI only, make it another URI; other lone parameters do not."""


@dataclass(frozen=True, slots=True)
class Uri:
    """A sip: or sips: URI, normalised for comparison."""

    scheme: str
    user: str
    """With its password, %HH resolved: case counts."""
    host: str
    """Lower case; IPv6 in brackets, in its shortest form."""
    port: int | None
    params: dict[str, str] = field(default_factory=dict)
    """Names and values in lower case."""
    headers: frozenset[str] = frozenset()


def parse_uri(text: str) -> Uri:
    """Parse a SIP or SIPS URI; SipParseError for anything else."""
    scheme, colon, rest = text.strip().partition(":")
    scheme = scheme.lower()
    if not colon or scheme not in ("sip", "sips") or not rest.isprintable():
        raise SipParseError("not a SIP URI")
    userinfo, at, hostpart = rest.rpartition("@")
    hostpart, _, headers = hostpart.partition("?")
    hostport, semicolon, params = hostpart.partition(";")
    host, port = _split_port(hostport.strip())
    return Uri(
        scheme=scheme,
        user=_unescape(userinfo) if at else "",
        host=host,
        port=port,
        params=_lower(parse_params(semicolon + params)),
        headers=frozenset(_unescape(h).lower() for h in headers.split("&") if h),
    )


def same_uri(one: Uri, other: Uri) -> bool:
    """Whether both name the same resource by RFC 3261 section 19.1.4."""
    if (one.scheme, one.user, one.host, one.port, one.headers) != (
        other.scheme,
        other.user,
        other.host,
        other.port,
        other.headers,
    ):
        return False
    for name in _MUST_MATCH_WHEN_IN_ONE:
        if (name in one.params) != (name in other.params):
            return False
    return all(other.params.get(name, value) == value for name, value in one.params.items())


def _split_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        address, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise SipParseError("an IPv6 address does not end")
        try:
            host = f"[{IPv6Address(address).compressed}]"
        except AddressValueError:
            raise SipParseError("not an IPv6 address") from None
        _, colon, digits = rest.partition(":")
    else:
        host, colon, digits = text.partition(":")
        host = host.strip().lower()
    if not host:
        raise SipParseError("a SIP URI without a host")
    if not colon:
        return host, None
    port = parse_number(digits.strip(), 5)
    if port is None or port > 65535:
        raise SipParseError("not a port")
    return host, port


def _unescape(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace") if "%" in text else text


def _lower(params: dict[str, str]) -> dict[str, str]:
    return {_unescape(name).lower(): _unescape(value).lower() for name, value in params.items()}
