"""The stateless answerer behind our Contacts (RFC 3261 sections 8.2.7, 11.2).

Registrars and callers reach a Contact; it must answer, and it must never take a call.
"""

from collections.abc import Iterable
from hashlib import blake2b

from registrations.sip.errors import SipParseError
from registrations.sip.grammar import split_quoted
from registrations.sip.headers import parse_cseq, parse_via, tag_of
from registrations.sip.message import Request

ALLOW = "OPTIONS, INVITE, ACK, NOTIFY"
_ANSWERS = {
    "OPTIONS": "200 OK",
    "INVITE": "480 Temporarily Unavailable",
    "NOTIFY": "481 Call/Transaction Does Not Exist",
}
_COPIED = ("via", "from", "to", "call-id", "cseq")

MOST_VIAS = 70
"""Hops that a request may have come by: as many as its Max-Forwards lets it go (8.1.1.6)."""
MOST_ADDED = 512
"""Bytes by which an answer may be longer than its request: who asks with a forged source address
gains nothing by having us answer."""


def answer(request: Request, source: tuple[str, int], *, secret: bytes) -> bytes | None:
    """The response to send back to `source`, on the socket the request came in by.

    None where none is due: to an ACK, and to requests too broken to answer. `secret` (up to 64
    bytes, the same in all our processes) makes the To tag stable per Call-ID without any memory.
    The answer is at most MOST_ADDED bytes longer than the request was.
    """
    if request.method == "ACK":
        return None
    status = _ANSWERS.get(request.method, "405 Method Not Allowed")
    headers = [f"Allow: {ALLOW}"] if status[:3] in ("200", "405") else []
    return respond(request, source, status, headers, secret=secret)


def respond(
    request: Request, source: tuple[str, int], status: str, headers: Iterable[str], *, secret: bytes
) -> bytes | None:
    """A response with that status line and those header lines besides the ones it must repeat.

    None for a request too broken to answer; `secret` as in `answer`.
    """
    repeated = _answerable(request)
    if repeated is None:
        return None
    vias, sender, to, call_id, cseq = repeated
    try:
        to = _tagged(to, call_id, secret)
        vias = [_with_source(vias[0], source), *vias[1:]]
    except SipParseError:
        return None
    lines = [f"SIP/2.0 {status}"]
    lines += [f"Via: {via}" for via in vias]
    lines += [f"From: {sender}", f"To: {to}", f"Call-ID: {call_id}", f"CSeq: {cseq}"]
    lines += headers
    lines.append("Server: Rollcall\r\nContent-Length: 0\r\n\r\n")
    return "\r\n".join(lines).encode()


def _answerable(request: Request) -> tuple[list[str], str, str, str, str] | None:
    """The headers a response must repeat, if the request is well-formed (8.1.1).

    Each is there, once but for Via, CSeq names the method, and nothing in them was unreadable:
    U+FFFD stands for such a byte, and repeated it would be three.
    """
    found = [request.headers.get(name) for name in _COPIED]
    if not all(values and values[0] for values in found) or ":" not in request.uri:
        return None
    vias, sender, to, call_id, cseq = (values or [] for values in found)
    if len(sender) + len(to) + len(call_id) + len(cseq) > 4 or len(vias) > MOST_VIAS:
        return None
    if any("\ufffd" in value for values in found for value in values or ()):
        return None
    try:
        if parse_cseq(cseq[0])[1] != request.method or not vias[0].startswith("SIP/2.0/"):
            return None
        parse_via(vias[0])
    except SipParseError:
        return None
    return vias, sender[0], to[0], call_id[0], cseq[0]


def _tagged(to: str, call_id: str, secret: bytes) -> str:
    if tag_of(to) is not None:
        return to
    tag = blake2b(call_id.encode(), key=secret, digest_size=8).hexdigest()
    return f"{to};tag={tag}"


def _with_source(via: str, source: tuple[str, int]) -> str:
    """Where the request really came from (RFC 3261 section 18.2.1, RFC 3581 section 4)."""
    first, *others = split_quoted(via, ",")
    sent, *params = split_quoted(first, ";")
    names = [param.partition("=")[0].strip().lower() for param in params]
    kept = [
        param.strip()
        for param, name in zip(params, names, strict=True)
        if name not in ("received", "rport")
    ]
    kept.append(f"received={source[0]}")
    if "rport" in names:
        kept.append(f"rport={source[1]}")
    return ",".join([";".join([sent.strip(), *kept]), *others])
