"""What single headers mean: Via, CSeq, Contact, Expires, Retry-After (RFC 3261 section 20)."""

from collections.abc import Iterable

from registrations.records import record
from registrations.sip.errors import SipParseError
from registrations.sip.grammar import (
    parse_delta_seconds,
    parse_number,
    parse_params,
    split_addresses,
    split_quoted,
)
from registrations.values import ListedContact

MALFORMED_EXPIRES = 3600
"""What an unreadable expiry counts as (RFC 3261 section 10.2, R11)."""
RETRY_AFTER_MAX = 3600
"""The longest pause a server may ask of us, in seconds (S8)."""


@record
class Via:
    """One Via: who sent the request on this hop (RFC 3261 section 20.42)."""

    sent_by: str
    """host[:port] in lower case."""
    branch: str


def count_vias(values: list[str]) -> int:
    """How many hops the Via headers list. Raises SipParseError."""
    if len(values) == 1 and "," not in values[0]:
        return 1
    return sum(len(split_quoted(value, ",")) for value in values)


def parse_via(value: str) -> Via:
    """The first hop of a Via value. Raises SipParseError."""
    sent, _, rest = value.partition(";")
    _protocol, _, after = sent.replace(" /", "/").replace("/ ", "/").strip().partition(" ")
    sent_by = after.replace(" ", "").lower()
    if not sent_by:
        raise SipParseError("a Via without sent-by")
    branch = ""
    for param in rest.split(";"):
        name, _, text = param.partition("=")
        if name.strip().lower() == "branch":
            branch = text.partition(",")[0].strip()
            break
    return Via(sent_by, branch)


def parse_cseq(value: str) -> tuple[int, str]:
    """Number and method. Raises SipParseError."""
    digits, _, method = value.partition(" ")
    number = parse_number(digits)
    if number is None:
        raise SipParseError("not a CSeq")
    return number, method.strip()


def tag_of(value: str) -> str | None:
    """The tag of a From or To value, None where it has none. Raises SipParseError."""
    _, _, after = value.rpartition(">")
    return parse_params(f";{after}").get("tag")


def parse_contacts(values: Iterable[str]) -> list[ListedContact]:
    """Every readable Contact; what is unreadable in another device's entry must not harm ours."""
    contacts: list[ListedContact] = []
    for value in values:
        try:
            parts = split_addresses(value)
        except SipParseError:
            continue
        for part in parts:
            try:
                contacts.append(_parse_contact(part))
            except SipParseError:
                continue
    return contacts


def _parse_contact(text: str) -> ListedContact:
    text = text.strip()
    if not text.isprintable():
        raise SipParseError("a Contact with control characters")
    bracketed = text if text[:1] == "<" else _after_display_name(text)
    if bracketed:
        uri, bracket, params_text = bracketed[1:].partition(">")
        if not bracket:
            raise SipParseError("a Contact without its closing bracket")
    else:
        uri, semicolon, params_text = text.partition(";")
        params_text = semicolon + params_text
    uri = uri.strip()
    if not uri or '"' in uri:
        raise SipParseError("a Contact without a URI")
    params = parse_params(params_text) if params_text else {}
    expires = params.get("expires")
    return ListedContact(
        uri=uri,
        expires=None if expires is None else expires_seconds(expires),
        instance=params.get("+sip.instance", "").strip("<>"),
    )


def _after_display_name(text: str) -> str:
    """From the opening bracket on, '' if there is none: one inside quotes does not count."""
    if "<" not in text:
        return ""
    _, *rest = split_quoted(text, "<")
    return "<" + "<".join(rest) if rest else ""


def expires_seconds(text: str) -> int:
    """An expiry as seconds: malformed counts as 3600, too large is clipped (R11)."""
    seconds = parse_delta_seconds(text)
    return MALFORMED_EXPIRES if seconds is None else seconds


def parse_retry_after(value: str) -> int | None:
    """Seconds of a Retry-After, not clamped: `120 (maintenance);duration=60` is 120 (S7).

    None when malformed: then it counts as absent.
    """
    return parse_delta_seconds(value.partition(";")[0].partition("(")[0])
