"""SIP messages as values: bytes in, Request or Response out (RFC 3261 section 7).

Tolerant where the field is (bare LF, folded lines, compact names, bytes that are not UTF-8),
strict where it protects us (NUL, lone CR, size, a body cut short).
"""

from registrations.records import record
from registrations.sip.errors import SipParseError
from registrations.sip.grammar import parse_number, printable

MAX_MESSAGE = 65_535
"""Bytes; nothing larger comes out of a UDP socket."""
MAX_LINES = 256
"""Header lines, folded ones included: bounds the work a peer can make us do."""

_COMPACT = {
    "c": "content-type",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "s": "subject",
    "t": "to",
    "v": "via",
}
_SPELLINGS = (
    *("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Expires", "Min-Expires", "Retry-After"),
    *("WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Content-Length", "Date"),
    *("Server", "User-Agent", "Max-Forwards", "Allow", "Supported", "Warning", "Content-Type"),
)
_NAMES = {name: name.lower() for name in _SPELLINGS} | _COMPACT
_COMMON = {
    "SIP/2.0 200 OK": (200, "OK"),
    "SIP/2.0 401 Unauthorized": (401, "Unauthorized"),
    "SIP/2.0 407 Proxy Authentication Required": (407, "Proxy Authentication Required"),
}
"""Status lines that nearly all answers have: there is nothing to find out about them."""
_LF, _EQUALS = 10, 61
"""As bytes: whether a number is in bytes is known twenty times as soon as whether bytes are."""


@record
class Response:
    """An answer. Header names are in lower case and long; values are raw, in order."""

    code: int
    reason: str
    headers: dict[str, list[str]]
    body: bytes = b""

    def first(self, name: str) -> str | None:
        values = self.headers.get(name)
        return values[0] if values else None


@record
class Request:
    """A request. Headers as in Response."""

    method: str
    uri: str
    headers: dict[str, list[str]]
    body: bytes = b""

    def first(self, name: str) -> str | None:
        values = self.headers.get(name)
        return values[0] if values else None


def parse(data: bytes) -> Request | Response:
    """One datagram as a message. Raises SipParseError and nothing else, whatever the bytes."""
    if len(data) > MAX_MESSAGE:
        raise SipParseError("larger than a datagram can be")
    lines, body = _head_and_body(data)
    headers = _parse_headers(lines)
    length = headers.get("content-length")
    if length is not None and (body or length[0] != "0"):
        body = _cut_body(body, length)
    start = lines[0]
    common = _COMMON.get(start)
    if common is not None:
        return Response(common[0], common[1], headers, body)
    if start[:8] == "SIP/2.0 ":
        code = parse_number(start[8:11], 3)
        if code is None or not 100 <= code <= 699 or start[11:12] not in ("", " "):
            raise SipParseError("not a status line")
        return Response(code, printable(start[12:].strip()), headers, body)
    method, _, rest = start.partition(" ")
    uri, _, version = rest.partition(" ")
    if not method or not uri or version.strip().upper() != "SIP/2.0" or not start.isprintable():
        raise SipParseError("neither a status line nor a request line")
    return Request(method, uri, headers, body)


def branch_of(data: bytes) -> str | None:
    """The branch of a response's top Via, for dispatch, without parsing the rest.

    None if the bytes are no response or name no branch.
    """
    top, _, rest = data.partition(b"\r\nVia: ")
    hop, _, rest = rest.partition(b";branch=")
    branch, is_usual, _ = rest.partition(b";")
    is_top = top[:4] == b"SIP/" and _LF not in top and _LF not in hop and _EQUALS not in hop
    if is_usual and is_top and branch.isalnum():
        return branch.decode("ascii")
    if data[:4] != b"SIP/":
        return None
    start = data.find(b"\n") + 1
    while start:
        end = data.find(b"\n", start)
        line = data[start:] if end < 0 else data[start:end]
        if line[:4] == b"Via:" or _is_via(line):
            return _branch_in(line)
        if line in (b"", b"\r"):
            return None
        start = end + 1
    return None


def branch_of_request(data: bytes) -> str | None:
    """The branch in one of our own requests, perhaps cut short; its Via is the first."""
    _, found, rest = data.partition(b";branch=")
    if not found or b"\r" not in rest:
        return None
    return rest.partition(b"\r")[0].partition(b";")[0].decode("ascii", "replace")


def _is_via(line: bytes) -> bool:
    name, _, _ = line[:16].partition(b":")
    return name.strip().lower() in (b"via", b"v")


def _branch_in(line: bytes) -> str | None:
    at = line.find(b"branch=")
    if at < 0:
        at = line.lower().find(b"branch=")
    if at < 0:
        return None
    end = line.find(b";", at)
    value = (line[at + 7 :] if end < 0 else line[at + 7 : end]).partition(b",")[0].strip()
    return value.decode("ascii", "replace") or None


def _head_and_body(data: bytes) -> tuple[list[str], bytes]:
    data = data.lstrip(b"\r\n")
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        head, blank, body = data.partition(b"\n\n")
    if not blank:
        raise SipParseError("the headers do not end")
    text = head.decode("utf-8", "replace")
    lines = text.split("\r\n")
    rest = "".join(lines)
    if "\n" in rest:
        lines = text.replace("\r\n", "\n").split("\n")
    if "\x00" in rest or "\r" in rest:
        raise SipParseError("NUL or a lone CR in the headers")
    if len(lines) > MAX_LINES:
        raise SipParseError("too many header lines")
    return lines, body


def _parse_headers(lines: list[str]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    values: list[str] | None = None
    for line in lines[1:]:
        name, colon, value = line.partition(": ")
        key = _NAMES.get(name)
        if key is None or not colon:
            name, colon, value = line.partition(":")
            if line[:1] in (" ", "\t"):
                if values is None:
                    raise SipParseError("a folded line with nothing to fold to")
                values[-1] = f"{values[-1]} {line.strip()}"
                continue
            if not colon:
                raise SipParseError("a header line without a colon")
            key = _long_name(name)
        if key in headers:
            values = headers[key]
            values.append(value.strip())
        else:
            values = headers[key] = [value.strip()]
    return headers


def _long_name(name: str) -> str:
    name = name.strip().lower()
    if not name:
        raise SipParseError("a header without a name")
    return _COMPACT.get(name, name)


def _cut_body(body: bytes, values: list[str]) -> bytes:
    length = parse_number(values[0])
    if length is None or length > len(body):
        raise SipParseError("the body does not have the length it says")
    return body[:length] if length < len(body) else body
