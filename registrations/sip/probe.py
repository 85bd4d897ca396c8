"""Asking one server whether it answers at all (OPTIONS), and whether it serves users (a fetch)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from registrations.sip.grammar import escape_host
from registrations.sip.message import Response
from registrations.sip.register import Attempt, RegisterClient
from registrations.sip.timers import Schedule
from registrations.sip.transaction import ClientTransaction, Key, TransactionState, first_wire
from registrations.sip.verdicts import answer_text
from registrations.values import Account, Outcome, Target

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
    """One OPTIONS on its way (RFC 3261 section 11). Over when `answered` is no longer None."""

    def __init__(self, target: Target, sent_by: str, token: Callable[[], str], now: float) -> None:
        self.target = first_wire(target)
        """Where the probe goes, by the transport it takes."""
        self.answered: bool | None = None
        """True after any final answer, whatever it says; False after silence or a failure."""
        self.code: int | None = None
        self.answer = ""
        """The answer's status line, or why there was none."""
        self.started_at = now
        self.ended_at: float | None = None
        self._sent_by = sent_by
        self._token = token
        self._may_use_udp = target.transport == "tcp_preferred"
        self._transaction = self._ask(now)

    @property
    def branch(self) -> str:
        """For the dispatch table."""
        return self._transaction.key.branch

    @property
    def asked_at(self) -> float:
        """When the request left for the last time."""
        return self._transaction.sent_at

    def receive(self, response: Response, now: float) -> None:
        """Take an answer. One that does not fit changes nothing."""
        final = self._transaction.receive(response, now)
        if final is not None and self.answered is None:
            self.code = final.code
            self._end(True, answer_text(final), now)

    def transport_failed(self, why: str, now: float) -> None:
        """The transport could not deliver. Where TCP was only preferred, UDP is asked now."""
        if self.answered is not None:
            return
        if self._may_use_udp:
            self._may_use_udp = False
            self.target = replace(self.target, transport="udp")
            self._transaction = self._ask(now)
        else:
            self._end(False, why, now)

    def handle_timer(self, now: float) -> None:
        """Resend or give up, whatever is due."""
        self._transaction.handle_timer(now)
        if self._transaction.state is TransactionState.TIMED_OUT and self.answered is None:
            self._end(False, f"no answer within {self._transaction.waited_s:g} s", now)

    def get_timer(self) -> float | None:
        """When handle_timer() wants to be called; None when the probe is over."""
        return self._transaction.get_timer() if self.answered is None else None

    def datagrams_to_send(self) -> Sequence[bytes]:
        """What must leave now. Taken once."""
        return self._transaction.datagrams_to_send()

    def _ask(self, now: float) -> ClientTransaction:
        branch, call_id, tag = f"z9hG4bK{self._token()}", self._token(), self._token()
        key = Key(branch, self._sent_by, "OPTIONS", 1, call_id, tag)
        request = options_request(
            self.target, self._sent_by, branch=branch, call_id=call_id, tag=tag
        )
        return ClientTransaction(
            request, key, PROBE_SCHEDULE, transport=self.target.transport, now=now
        )

    def _end(self, answered: bool, answer: str, now: float) -> None:
        self.answered, self.answer, self.ended_at = answered, answer, now


class FetchProbe:
    """One REGISTER without a Contact: it binds nothing and shows whether users are served.

    RFC 3261 section 10.2.3. Each of its requests waits for a permit, as every REGISTER does. Over
    when `outcome` is no longer None.
    """

    def __init__(
        self,
        account: Account,
        target: Target,
        sent_by: str,
        token: Callable[[], str],
        now: float,
        snapshot: Mapping[str, Any] | None = None,
    ) -> None:
        self.outcome: Outcome | None = None
        self._target = target
        self._client = RegisterClient(account, token=token, snapshot=snapshot)
        self._client.begin(Attempt(target, sent_by, None, 0, PROBE_SCHEDULE), now)

    def snapshot(self) -> dict[str, Any]:
        """What lets a later one go on in its Call-ID, with its nonces. Never log it."""
        return self._client.snapshot()

    @property
    def wants_permit(self) -> bool:
        return self._client.wants_permit

    @property
    def target(self) -> Target:
        """Where the request in flight goes, with the transport it takes."""
        return self._client.target or self._target

    @property
    def branch(self) -> str | None:
        """Of the request in flight, for the dispatch table."""
        return self._client.branch

    def grant(self, now: float) -> None:
        """Let the waiting request leave now."""
        self._client.grant(now)

    def receive(self, response: Response, now: float) -> None:
        """Take an answer. One that does not fit changes nothing."""
        self._client.receive(response, now)
        self._look()

    def transport_failed(self, why: str, now: float) -> None:
        """The transport could not deliver."""
        self._client.transport_failed(why, now)
        self._look()

    def handle_timer(self, now: float) -> None:
        """Resend or give up, whatever is due."""
        self._client.handle_timer(now)
        self._look()

    def get_timer(self) -> float | None:
        """When handle_timer() wants to be called; None while nothing is in flight."""
        return self._client.get_timer()

    def datagrams_to_send(self) -> Sequence[bytes]:
        """What must leave now. Taken once."""
        return self._client.datagrams_to_send()

    def _look(self) -> None:
        self.outcome = self.outcome or self._client.outcome()
