"""Reads single values a person wrote: MACs, addresses, numbers, names.

Each function returns the value as it is stored, or raises ValueError with a sentence.
"""

import ipaddress
import re

MAX_LINE = 99
MAX_SERVERS = 8

_MAC = re.compile(r"[0-9a-f]{12}", re.ASCII)
_SLUG = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_USER = re.compile(r"[^\s@<>\"\x00-\x1f\x7f]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_YES = {"true", "yes", "on", "1"}
_NO = {"false", "no", "off", "0"}


def mac(given: str) -> str:
    """Twelve hexadecimal digits, lower case; `:`, `-` and `.` between them are dropped."""
    plain = given.strip().lower().translate(str.maketrans("", "", ":-."))
    if not _MAC.fullmatch(plain):
        raise ValueError(f"A MAC has twelve hexadecimal digits, not {given[:40]!r}.")
    if plain in {"0" * 12, "f" * 12}:
        raise ValueError(f"{given[:40]!r} is no handset's MAC.")
    return plain


def number(given: str, what: str, low: int, high: int) -> int:
    word = given.strip()
    # Digits only, and few: int() takes underscores, signs and any length.
    if word.isascii() and word.isdigit() and len(word) < 11 and low <= int(word) <= high:
        return int(word)
    raise ValueError(f"{what} must be a whole number from {low} to {high}, not {given[:40]!r}.")


def line(given: str) -> int:
    return number(given, "The line", 1, MAX_LINE)


def port(given: str) -> int:
    """0: DNS says, or the transport's own (the handset's guide: 0 or Null)."""
    return number(given, "The port", 0, 65535)


def default_port(address: str, transport: str) -> int:
    """The port of a server that names none: 0 for a name, so that DNS may say it."""
    if _ip(address) is None:
        return 0
    return 5061 if transport == "tls" else 5060


def switch(given: str) -> bool:
    word = given.strip().lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise ValueError(f"Write true or false, not {given[:40]!r}.")


def text(given: str, longest: int) -> str:
    """One line of text, blanks around it dropped."""
    plain = given.strip()
    if len(plain) > longest:
        raise ValueError(f"At most {longest} characters; this has {len(plain)}.")
    if _CONTROL.search(plain):
        raise ValueError("Line breaks and other control characters are not permitted.")
    return plain


def needed(given: str, longest: int) -> str:
    plain = text(given, longest)
    if not plain:
        raise ValueError("This must not be empty.")
    return plain


def slug(given: str) -> str:
    """A site's name: it names a queue."""
    if not _SLUG.fullmatch(given.strip()):
        raise ValueError(f"A site's name has 1 to 60 letters, digits, - and _, not {given[:80]!r}.")
    return given.strip()


def extension(given: str) -> str:
    """The user part of an address of record."""
    plain = needed(given, 64)
    if not _USER.fullmatch(plain):
        raise ValueError("An extension has no blanks, quotes, @, < or >.")
    return plain


def domain(given: str) -> str:
    """The host part of an address of record: a name or an IP address (IPv6 in brackets)."""
    plain = needed(given, 253)
    bare = plain[1:-1] if plain.startswith("[") and plain.endswith("]") else plain
    if not _HOST.fullmatch(plain) and _ip(bare) is None:
        raise ValueError(f"{plain[:80]!r} is neither a host name nor an IP address.")
    return f"[{bare}]" if ":" in bare else plain


def password(given: str) -> str:
    """As it was written, blanks included: they may belong to it."""
    if len(given) > 256:
        raise ValueError("At most 256 characters.")
    if _CONTROL.search(given):
        raise ValueError("Line breaks and other control characters are not permitted.")
    return given


def is_host_name(given: str) -> bool:
    return _HOST.fullmatch(given) is not None and re.search("[A-Za-z]", given) is not None


def address(given: str) -> str:
    """A server's IP address in its shortest form, or its name, which DNS resolves."""
    plain = given.strip()
    found = _ip(plain[1:-1] if plain.startswith("[") and plain.endswith("]") else plain)
    if found is None:
        if len(plain) <= 253 and is_host_name(plain):
            return plain.lower().removesuffix(".")
        raise ValueError(f"{plain[:80]!r} is neither an IP address nor a host name.")
    if found.is_unspecified or found.is_multicast or getattr(found, "scope_id", None):
        raise ValueError(f"{plain[:80]!r} is no server's address.")
    return str(found)


TRANSPORTS = ("udp", "tcp", "tls", "tcp_preferred", "dns_naptr")
_GUIDES_WORDS = {"udponly": "udp", "tcponly": "tcp", "tcppreferred": TRANSPORTS[3]} | {
    "dnsnaptr": TRANSPORTS[4]
}


def transport(given: str) -> str:
    """How a server is reached; the guide's own words (UDPOnly, DNSnaptr...) are taken too."""
    word = given.strip().lower()
    word = _GUIDES_WORDS.get(word, word)
    if word not in TRANSPORTS:
        words = ", ".join(TRANSPORTS[:-1]) + f" or {TRANSPORTS[-1]}"
        raise ValueError(f"The transport must be {words}, not {given[:40]!r}.")
    return word


def tls_name(given: str) -> str:
    """The name a server's certificate must bear; '' where it is the server's address itself."""
    plain = text(given, 253)
    bare = plain.strip("[]")
    if plain and not _HOST.fullmatch(plain) and _ip(bare) is None:
        raise ValueError(f"tls_name: {plain[:80]!r} is neither a host name nor an IP address.")
    return bare.lower().removesuffix(".")


def choice(given: str, what: str, permitted: tuple[str, ...]) -> str:
    word = given.strip().lower()
    if word not in permitted:
        words = ", ".join(permitted[:-1]) + f" or {permitted[-1]}"
        raise ValueError(f"The {what} must be {words}, not {given[:40]!r}.")
    return word


def mode(given: str) -> str:
    return choice(given, "mode", ("failover", "fallback"))


def supervision(given: str) -> str:
    return choice(given, "supervision", ("register", "observe", "off"))


def words(given: list[str]) -> tuple[str, ...]:
    """Tags or lost features: short texts, each once, in the order given."""
    kept = [text(word, 40) for word in given]
    return tuple(dict.fromkeys(word for word in kept if word))


def _ip(given: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(given)
    except ValueError:
        return None
