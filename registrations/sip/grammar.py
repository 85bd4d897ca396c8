"""Lexical rules of RFC 3261 section 25 that several headers share: numbers, quotes, lists.

Every function is linear in its input: a peer may send 64 kB of anything.
"""

from functools import lru_cache
from urllib.parse import quote as percent_quote

from registrations.sip.errors import SipParseError

DELTA_SECONDS_MAX = 2**32 - 1
"""RFC 3261 section 10.2: values above are clipped to it."""

_USER_SAFE = "-_.!~*'()&=+$,;?/"
_HOST_SAFE = "-_.:[]"


def parse_number(text: str, max_digits: int = 10) -> int | None:
    """A run of ASCII digits as int; None for anything else or for more than `max_digits` digits.

    The bound is there because int() refuses very long digit runs with an exception of its own.
    """
    if text.isdigit() and text.isascii() and len(text) <= max_digits:
        return int(text)
    return None


def parse_delta_seconds(text: str) -> int | None:
    """Seconds as RFC 3261 section 25.1 writes them, clipped to 2**32-1; None when malformed."""
    text = text.strip()
    if not (text.isdigit() and text.isascii()):
        return None
    digits = text.lstrip("0") or "0"
    return min(int(digits), DELTA_SECONDS_MAX) if len(digits) <= 10 else DELTA_SECONDS_MAX


def split_quoted(text: str, separator: str) -> list[str]:
    """Split at `separator` where it stands outside quoted strings; parts are not stripped."""
    if '"' not in text:
        return text.split(separator)
    if "\\" in text:
        return _split_slowly(text, separator, brackets=False)
    pieces = text.split('"')
    if not len(pieces) % 2:
        raise SipParseError("a quoted string does not end")
    parts: list[str] = []
    current = ""
    for index, piece in enumerate(pieces):
        if index % 2:
            current += f'"{piece}"'
            continue
        head, *rest = piece.split(separator)
        current += head
        for part in rest:
            parts.append(current)
            current = part
    parts.append(current)
    return parts


def split_addresses(text: str) -> list[str]:
    """Split a list of name-addr at its commas, not at those in quotes or angle brackets."""
    if "," not in text:
        return [text]
    return _split_slowly(text, ",", brackets=True)


def _split_slowly(text: str, separator: str, *, brackets: bool) -> list[str]:
    parts: list[str] = []
    start = 0
    quoted = escaped = bracketed = False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped = char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif brackets and char in "<>":
            bracketed = char == "<"
        elif char == separator and not bracketed:
            parts.append(text[start:index])
            start = index + 1
    if quoted:
        raise SipParseError("a quoted string does not end")
    parts.append(text[start:])
    return parts


def parse_params(text: str) -> dict[str, str]:
    """`;a=1;b;c="x"` as {"a": "1", "b": "", "c": "x"}: names in lower case, quotes taken off.

    The first of doubled names counts. Text before the first semicolon is ignored.
    """
    params: dict[str, str] = {}
    for part in split_quoted(text, ";")[1:]:
        name, _, value = part.partition("=")
        params.setdefault(name.strip().lower(), unquote(value.strip()))
    return params


def unquote(text: str) -> str:
    """A quoted string's content with its escapes taken off; other text as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    text = text[1:-1]
    if "\\" not in text:
        return text
    out: list[str] = []
    escaped = False
    for char in text:
        if char == "\\" and not escaped:
            escaped = True
            continue
        out.append(char)
        escaped = False
    return "".join(out)


def quote(text: str) -> str:
    """`text` as a quoted string. Control characters become `?`: they could end our header line."""
    text = printable(text, "?")
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def printable(text: str, instead: str = " ") -> str:
    """`text` with everything a terminal, a log line or a database might choke on replaced."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else instead for char in text)


def escape_user(user: str) -> str:
    """`user` as the user part of a SIP URI (RFC 3261 section 25.1), the rest as %HH."""
    return user if user.isalnum() and user.isascii() else percent_quote(user, safe=_USER_SAFE)


@lru_cache(maxsize=1000)
def escape_host(host: str) -> str:
    """`host` or `host:port` for a URI; a bare IPv6 address gets its brackets.

    Characters no host has become %HH, so that a mistyped domain is refused by the server and
    never breaks our message.
    """
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    return percent_quote(host, safe=_HOST_SAFE)
