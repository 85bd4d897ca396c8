"""One question to one server about one line: a REGISTER without a Contact, on its way."""

import time
from typing import Protocol

from registrations.runtime.clock import steady
from registrations.runtime.nonces import Nonces
from registrations.runtime.switchboard import Flight
from registrations.runtime.tokens import fresh_token
from registrations.runtime.transport import Transport
from registrations.runtime.turns import Turn
from registrations.sip import message
from registrations.sip.errors import SipParseError
from registrations.sip.probe import FetchProbe
from registrations.values import Target


class Asks(Protocol):
    """Who asks it, and is told how it goes."""

    transport: Transport
    nonces: Nonces

    def go_on(self, question: "Question") -> None: ...

    def failed(self, question: "Question", why: str) -> None: ...


class Question(Flight):
    """One REGISTER without a Contact under way, to one place of one server."""

    __slots__ = ("asker", "fetch", "has_asked", "shift", "turn")

    def __init__(self, asker: Asks, turn: Turn) -> None:
        super().__init__()
        self.asker = asker
        self.turn = turn
        self.shift = time.time() - steady()
        self.has_asked = False
        target = turn.targets[0]
        host, port = asker.transport.local(target)
        sent_by = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        known = asker.nonces.get(turn.claimed)
        self.fetch = FetchProbe(
            turn.claimed.account, target, sent_by, fresh_token, self.now(), snapshot=known
        )

    def now(self) -> float:
        return steady() + self.shift

    def receive(self, data: bytes, source: tuple[str, int]) -> None:
        try:
            answer = message.parse(data)
        except SipParseError:
            return
        if isinstance(answer, message.Response):
            self.fetch.receive(answer, self.now())
            self.asker.go_on(self)

    def transport_failed(self, target: Target, branch: str | None, why: str) -> None:
        if target.place == self.fetch.target.place or branch is not None:
            self.asker.failed(self, why)

    def ring(self) -> None:
        self.fetch.handle_timer(self.now())
        self.asker.go_on(self)
