"""One try as it is kept: what left, what came, how it ended; packed small, secrets left out.

The runtime notes references as they pass; all work is done later, off its hot path, by `pack`.
"""

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from registrations.sip.message import branch_of, branch_of_request
from registrations.trace.masking import masked
from registrations.values import Target, Verdict

MOST_EVENTS = 120
"""Of one try. Two servers' whole ladders, with challenges, are about 50."""
MOST_PACKED = 8192
"""Bytes of one packed try; a longer one is cut at its end. A usual one has about 250."""


class Kind(IntEnum):
    SENT = 0
    HEARD = 1
    FAILED = 2


Noted = tuple[float, Kind, Target | None, bytes | str]
"""As the runtime notes it: when, what, where to (None: see its branch), and the bytes, or why it
failed. A bare tuple, because one is made for every message."""


class Ended(NamedTuple):
    """How one attempt at one server ended, as its agent understood it."""

    server_id: int
    at: float
    verdict: str
    sentence: str
    request: str = ""
    """The last request of that attempt, without its secrets; `unpack` fills it in."""


@dataclass(frozen=True, slots=True)
class Event:
    """One message, or one failure of the transport."""

    at: float
    kind: Kind
    server_id: int
    target: str
    transport: str
    text: str
    """The message without its secrets; why it could not be delivered."""


@dataclass(frozen=True, slots=True)
class Record:
    """One try, unpacked."""

    at: float
    events: tuple[Event, ...]
    ended: tuple[Ended, ...]
    note: str
    """Why it has no end; '' where it has one."""
    left_out: int
    """Events beyond what is kept of one try."""


def pack(noted: Sequence[Noted], ended: Sequence[Ended], note: str = "") -> bytes:
    """Return a try for keeping: masked, repeats folded, deflated against what usually stands there.

    `noted` must not be empty.
    """
    most = MOST_EVENTS
    while True:
        packed = _deflated(_document(noted[:most], ended, note, len(noted) - most))
        if len(packed) <= MOST_PACKED or most == 1:
            return packed
        most //= 2


def unpack(packed: bytes) -> Record:
    """Return what `pack` made. Raises ValueError where it is something else."""
    try:
        inflater = zlib.decompressobj(-_WINDOW, zdict=_USUAL)
        made = json.loads(inflater.decompress(packed[1:]) if packed[:1] == _VERSION else b"")
        return _record(made)
    except (zlib.error, LookupError, TypeError, ValueError) as error:
        raise ValueError("not a packed try") from error


def endings(noted: Sequence[Noted], ended: Sequence[Ended]) -> dict[int, bool]:
    """Say of each server whether it took the registration in the end; a mere question is none."""
    took: dict[int, bool] = {}
    for end in ended:
        request = _request_of(end, noted)
        if request is not None and b"\nContact:" in request:
            took[end.server_id] = end.verdict == Verdict.BOUND
    return took


def _request_of(end: Ended, noted: Sequence[Noted]) -> bytes | None:
    """Find the request an attempt ended with: by the answer that came then, else the last sent."""
    last: bytes | None = None
    sent: list[bytes] = []
    for at, kind, target, data in noted:
        if at > end.at:
            break
        if kind is Kind.SENT and isinstance(data, bytes):
            sent.append(data)
            if target is not None and target.server_id == end.server_id:
                last = data
        elif kind is Kind.HEARD and at == end.at and isinstance(data, bytes):
            return _answered_by(data, sent) or last
    return last


def _answered_by(answer: bytes, sent: Iterable[bytes]) -> bytes | None:
    """Find the latest of the requests sent that this answer is to."""
    branch, found = branch_of(answer), None
    for request in sent:
        if branch_of_request(request) == branch:
            found = request
    return found


def _document(
    noted: Sequence[Noted], ended: Sequence[Ended], note: str, left_out: int
) -> dict[str, Any]:
    started_at = noted[0][0]
    targets: dict[tuple[int, str, str], int] = {}
    sent: dict[bytes, int] = {}
    texts: dict[bytes, int] = {}
    events: list[list[int]] = []
    whys: list[str] = []
    for at, kind, target, data in noted:
        if target is not None:
            key = (target.server_id, str(target), target.transport)
            place = targets.setdefault(key, len(targets))
        if isinstance(data, str):
            whys.append(data)
            index = len(whys) - 1
        else:
            index = texts.setdefault(data, len(texts))
            if kind is Kind.SENT:
                sent[data] = place
            else:
                place = sent.get(_answered_by(data, sent) or b"", 0) if len(targets) > 1 else 0
        events.append([round((at - started_at) * 1000), kind, place, index])
    return {
        "at": started_at,
        "targets": list(targets),
        "texts": masked(texts),
        "whys": whys,
        "events": events,
        "ended": [
            [
                *(e.server_id, round((e.at - started_at) * 1000), e.verdict, e.sentence),
                texts.get(_request_of(e, noted) or b"", -1),
            ]
            for e in ended
        ],
        "note": note,
        "left_out": max(0, left_out),
    }


def _record(made: dict[str, Any]) -> Record:
    at = made["at"]
    events = []
    for ms, number, place, index in made["events"]:
        kind, (server_id, target, transport) = Kind(number), made["targets"][place]
        text = made["whys" if kind is Kind.FAILED else "texts"][index]
        events.append(Event(at + ms / 1000, kind, server_id, target, transport, text))
    return Record(
        at=at,
        events=tuple(events),
        ended=tuple(
            Ended(server_id, at + ms / 1000, verdict, said, made["texts"][i] if i >= 0 else "")
            for server_id, ms, verdict, said, i in made["ended"]
        ),
        note=made["note"],
        left_out=made["left_out"],
    )


_VERSION = b"1"
"""Goes up when the document or `_USUAL` changes: both must be the same to read it again."""
_WINDOW, _MEMORY, _LEVEL = 12, 5, 1
"""A window of 4 KiB: a larger one costs zlib 50 us a try to clear, and saves nothing."""


def _deflated(document: dict[str, Any]) -> bytes:
    deflater = _DEFLATER.copy()
    data = _ENCODER.encode(document).encode()
    return _VERSION + deflater.compress(data) + deflater.flush()


_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_USUAL = _ENCODER.encode(
    {
        "whys": ["Connection refused"],
        "note": "",
        "sentence": "The server 127.0.0.1:5060 did not answer within 7.5 s.",
        "texts": [
            "SIP/2.0 503 Service Unavailable\nRetry-After: 30",
            "SIP/2.0 403 Forbidden\nProxy-Authenticate: Proxy-Authorization: algorithm=SHA-256",
            "SIP/2.0 401 Unauthorized\nVia: SIP/2.0/TCP \nVia: SIP/2.0/TLS \nDate: GMT\n"
            'WWW-Authenticate: Digest realm="", nonce=***, opaque=***, algorithm=MD5, '
            'qop="auth", stale=false\nServer: kamailio (5.6.3 (x86_64/linux))\n',
            "REGISTER sip: SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:;branch=z9hG4bK;rport\n"
            "Max-Forwards: 70\nFrom: <sip:@>;tag=\nTo: <sip:@>\nCall-ID: \nCSeq: 1 REGISTER\n"
            'Contact: <sip:@127.0.0.1:9000>;+sip.instance="<urn:uuid:>";reg-id=1\n'
            'Expires: 3600\nAuthorization: Digest username="", realm="", nonce=***, uri="sip:", '
            "response=***, algorithm=MD5, opaque=***, qop=auth, nc=00000001, cnonce=***\n"
            "Content-Length: 0",
            "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 127.0.0.1:;branch=z9hG4bK;rport=;"
            "received=127.0.0.1\nFrom: <sip:@>;tag=\nTo: <sip:@>;tag=\nCall-ID: \n"
            'CSeq: 1 REGISTER\nContact: <sip:@127.0.0.1:9000>;expires=3600;+sip.instance="'
            '<urn:uuid:>";reg-id=1\nAllow: REGISTER, OPTIONS\nContent-Length: 0',
        ],
        "at": 1800000000.0,
        "targets": [[1, "127.0.0.1:5060", "udp"]],
        "events": [[0, 0, 0, 0], [1, 1, 0, 1]],
        "ended": [[1, 1, "bound", "", 0]],
        "left_out": 0,
    }
).encode()
"""What most tries have in common: brings a renewal from about 1200 bytes to 250."""
_DEFLATER = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW, _MEMORY, zdict=_USUAL)
"""Copied for each try: to make one that knows `_USUAL` costs four times as much."""
