"""One question to one server about one line: a REGISTER without a Contact, on its way."""

from typing import Protocol

from registrations.runtime.asked import Asked, Asks
from registrations.runtime.nonces import Nonces
from registrations.runtime.tokens import fresh_token
from registrations.runtime.turns import Turn
from registrations.sip.probe import FetchProbe


class AsksInTurn(Asks, Protocol):
    """Who asks it, and keeps the nonces it may use again."""

    nonces: Nonces


class Question(Asked[FetchProbe]):
    """One REGISTER without a Contact under way, to one place of one server."""

    __slots__ = ("turn",)

    def __init__(self, asker: AsksInTurn, turn: Turn) -> None:
        super().__init__(asker)
        self.turn = turn
        target, known = turn.targets[0], asker.nonces.get(turn.claimed)
        self.machine = FetchProbe(
            turn.claimed.account,
            target,
            self.sent_by(target),
            fresh_token,
            self.now(),
            snapshot=known,
        )

    @property
    def fetch(self) -> FetchProbe:
        return self.machine
