"""Asking one server whether it answers at all: a single OPTIONS (RFC 3261 section 11)."""

from collections.abc import Callable

from registrations.sip.grammar import escape_host
from registrations.sip.message import Response
from registrations.sip.timers import Schedule
from registrations.sip.transaction import ClientTransaction, Key, TransactionState
from registrations.sip.verdicts import answer_text
from registrations.values import Target

PROBE_SCHEDULE = Schedule(sends=(0.0, 0.5, 1.5), give_up_after=3.5)
"""RFC 3261 spacing, cut so that a probe is over well before the next one is due."""


def options_request(target: Target, sent_by: str, *, branch: str, call_id: str, tag: str) -> bytes:
    """OPTIONS to the server itself: no user part, so no handset's call handling is asked."""
    host = str(target)
    us = escape_host(sent_by)
    return (
        f"OPTIONS sip:{host} SIP/2.0\r\n"
        f"Via: SIP/2.0/{target.transport.upper()} {sent_by};branch={branch};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:rollcall@{us}>;tag={tag}\r\nTo: <sip:{host}>\r\n"
        f"Call-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\nUser-Agent: Rollcall\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


class OptionsProbe:
    """One probe on its way. Over when `answered` is no longer None."""

    def __init__(self, target: Target, sent_by: str, token: Callable[[], str], now: float) -> None:
        self.target = target
        self.answered: bool | None = None
        """True after any final answer, whatever it says; False after silence or a failure."""
        self.answer = ""
        """The answer's status line, or why there was none."""
        self.started_at = now
        self.ended_at: float | None = None
        key = Key(f"z9hG4bK{token()}", sent_by, "OPTIONS", 1, token())
        request = options_request(
            target, sent_by, branch=key.branch, call_id=key.call_id, tag=token()
        )
        self._transaction = ClientTransaction(
            request, key, PROBE_SCHEDULE, transport=target.transport, now=now
        )

    @property
    def branch(self) -> str:
        """For the dispatch table."""
        return self._transaction.key.branch

    def receive(self, response: Response, now: float) -> None:
        """Take an answer. One that does not fit changes nothing."""
        final = self._transaction.receive(response, now)
        if final is not None and self.answered is None:
            self._end(True, answer_text(final), now)

    def transport_failed(self, why: str, now: float) -> None:
        """The transport could not deliver."""
        if self.answered is None:
            self._end(False, why, now)

    def handle_timer(self, now: float) -> None:
        """Resend or give up, whatever is due."""
        self._transaction.handle_timer(now)
        if self._transaction.state is TransactionState.TIMED_OUT and self.answered is None:
            self._end(False, f"no answer within {self._transaction.waited_s:g} s", now)

    def get_timer(self) -> float | None:
        """When handle_timer() wants to be called; None when the probe is over."""
        return self._transaction.get_timer() if self.answered is None else None

    def datagrams_to_send(self) -> list[bytes]:
        """What must leave now. Taken once."""
        return self._transaction.datagrams_to_send()

    def _end(self, answered: bool, answer: str, now: float) -> None:
        self.answered, self.answer, self.ended_at = answered, answer, now
