"""One non-INVITE client transaction (RFC 3261 section 17.1.2): resend, match, give up.

It knows nothing of registration. Timer K needs no clock here: once the transaction is over its
branch is gone from the dispatch table, so late and doubled answers reach nobody.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from registrations.records import record
from registrations.sip.errors import SipParseError
from registrations.sip.headers import count_vias, parse_cseq, parse_via, tag_of
from registrations.sip.message import Response
from registrations.sip.timers import T1, T2, Schedule
from registrations.values import Target

RELIABLE = frozenset({"tcp", "tls"})
"""Transports that need no retransmission (Timer E is not used)."""


def first_wire(target: Target) -> Target:
    """The target by the transport it is asked over first: TCPpreferred is TCP, until that fails."""
    if target.transport == "tcp_preferred":
        return replace(target, transport="tcp")
    return target


class TransactionState(Enum):
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    TIMED_OUT = "timed out"


PENDING = (TransactionState.TRYING, TransactionState.PROCEEDING)


@record
class Key:
    """What an answer must repeat to be ours (sections 17.1.3, 18.1.2, 8.2.6.2)."""

    branch: str
    sent_by: str
    method: str
    cseq: int
    call_id: str
    from_tag: str

    def fits(self, response: Response) -> bool:
        """Whether `response` answers this request and nobody else's.

        More than one Via means it was not for us (8.1.3.3); so does another sent-by (18.1.2).
        """
        headers = response.headers
        try:
            sender, cseq = headers["from"][0], headers["cseq"][0]
            return (
                headers["call-id"][0] == self.call_id
                and self._is_only_hop(headers["via"])
                and (
                    cseq == f"{self.cseq} {self.method}"
                    or parse_cseq(cseq) == (self.cseq, self.method)
                )
                and (sender.endswith(f";tag={self.from_tag}") or tag_of(sender) == self.from_tag)
            )
        except (LookupError, SipParseError):
            return False

    def _is_only_hop(self, vias: list[str]) -> bool:
        via = vias[0]
        if len(vias) > 1 or "," in via:
            if count_vias(vias) != 1:
                return False
        elif via.startswith(f"SIP/2.0/UDP {self.sent_by};branch={self.branch};"):
            return True
        read = parse_via(via)
        return read.branch == self.branch and read.sent_by == self.sent_by.lower()


class ClientTransaction:
    """A request on its way. Made the moment it leaves: its first send is due at once.

    `proceeding_s` is how long, counted from the start, to wait at least once the server said that
    it is working on it: the short ladder is for silence only. `until` bounds both.
    """

    __slots__ = (
        "_give_up_at",
        "_index",
        "_out",
        "_proceeding_until",
        "_reliable",
        "_request",
        "_schedule",
        "_send_at",
        "_started_at",
        "key",
        "provisional",
        "sent_at",
        "state",
        "was_resent",
    )

    def __init__(
        self,
        request: bytes,
        key: Key,
        schedule: Schedule,
        *,
        transport: str,
        now: float,
        proceeding_s: float = 0.0,
        until: float | None = None,
    ) -> None:
        self.key = key
        self.state = TransactionState.TRYING
        self.provisional: Response | None = None
        self.was_resent = False
        self.sent_at = now
        """When it left for the last time: what is heard of the server later is later news."""
        self._request = request
        self._schedule = schedule
        self._started_at = now
        latest = math.inf if until is None else max(until, now + T1)
        self._give_up_at = min(now + schedule.give_up_after, latest)
        self._proceeding_until = min(now + proceeding_s, latest)
        self._out: Sequence[bytes] = (request,)
        self._index = 1
        self._reliable = transport in RELIABLE
        is_resent = not self._reliable and len(schedule.sends) > 1
        self._send_at = now + schedule.sends[1] if is_resent else None

    def receive(self, response: Response, now: float) -> Response | None:
        """The final response, if this is it. Anything that is not for us changes nothing."""
        if self.state not in PENDING or not self.key.fits(response):
            return None
        if response.code < 200:
            self.state = TransactionState.PROCEEDING
            self.provisional = response
            self._give_up_at = max(self._give_up_at, self._proceeding_until)
            if self._send_at is None and not self._reliable:
                self._arm(now)
            return None
        self.state = TransactionState.COMPLETED
        return response

    def handle_timer(self, now: float) -> None:
        """Resend or give up, whatever is due at `now`. A late call resends once, not in a burst."""
        if self.state not in PENDING:
            return
        if now >= self._give_up_at:
            self.state = TransactionState.TIMED_OUT
        elif self._send_at is not None and now >= self._send_at:
            self._out = (*self._out, self._request)
            self.was_resent, self.sent_at = True, now
            self._arm(now)

    def get_timer(self) -> float | None:
        if self.state not in PENDING:
            return None
        if self._send_at is None or self._send_at > self._give_up_at:
            return self._give_up_at
        return self._send_at

    def datagrams_to_send(self) -> Sequence[bytes]:
        """What must leave now. Taken once."""
        out, self._out = self._out, ()
        return out

    @property
    def waited_s(self) -> float:
        """How long this transaction waits in all, in seconds."""
        return self._give_up_at - self._started_at

    def _arm(self, now: float) -> None:
        """Timer E: by the schedule while nobody answers, every T2 once somebody has."""
        if self.state is TransactionState.PROCEEDING:
            self._send_at = now + T2
            return
        sends = self._schedule.sends
        self._index += 1
        while self._index < len(sends) and self._started_at + sends[self._index] <= now:
            self._index += 1
        more = self._index < len(sends)
        self._send_at = self._started_at + sends[self._index] if more else None
