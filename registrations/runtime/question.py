"""One question to one server about one line: a REGISTER without a Contact, on its way."""

from typing import Protocol

from registrations.runtime.asked import Asked, Asks
from registrations.runtime.nonces import Nonces
from registrations.runtime.tokens import fresh_token
from registrations.runtime.turns import Lane, Turn
from registrations.sip.probe import FetchProbe


class AsksInTurn(Asks, Protocol):
    """Who asks it, and keeps the nonces it may use again."""

    nonces: Nonces

    def use(self, question: "Question") -> str | None: ...

    def put_off(self, question: "Question", until: float) -> None: ...


class Question(Asked[FetchProbe]):
    """One REGISTER without a Contact under way, to one place of one server: its own `Ticket`."""

    __slots__ = (
        "is_over",
        "is_unanswered",
        "lane",
        "lease_until",
        "place",
        "rate",
        "server_id",
        "turn",
    )
    is_retry = False
    can_wait = gathers = True

    def __init__(self, asker: AsksInTurn, turn: Turn, lane: Lane) -> None:
        super().__init__(asker)
        self.turn = turn
        self.lane = lane
        self.is_unanswered = False
        """It is on its way."""
        self.is_over = False
        self.server_id = turn.claimed.server_id
        self.rate = turn.claimed.rate
        self.lease_until = turn.lease.until
        target, known = turn.targets[0], asker.nonces.get(turn.claimed)
        self.place = target.host_port
        self.machine = FetchProbe(
            turn.claimed.account,
            target,
            self.sent_by(target),
            fresh_token,
            self.now(),
            snapshot=known,
        )

    def use(self) -> str | None:
        return self.asker.use(self)

    def postpone(self, until: float) -> None:
        self.asker.put_off(self, until)

    pause = postpone

    def is_void(self) -> bool:
        return self.is_over

    @property
    def fetch(self) -> FetchProbe:
        return self.machine
