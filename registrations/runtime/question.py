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

    def has(self, question: "Question") -> bool: ...


class Question(Asked[FetchProbe]):
    """One REGISTER without a Contact under way, to one place of one server: its own `Ticket`."""

    __slots__ = ("is_unanswered", "lane", "place", "turn")
    is_retry = False
    can_wait = gathers = True

    def __init__(self, asker: AsksInTurn, turn: Turn, lane: Lane) -> None:
        super().__init__(asker)
        self.turn = turn
        self.lane = lane
        self.is_unanswered = False
        """It is on its way."""
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

    @property
    def server_id(self) -> int:
        return self.turn.claimed.server_id

    @property
    def rate(self) -> float:
        return self.turn.claimed.rate

    @property
    def lease_until(self) -> float:
        return self.turn.lease.until

    def use(self) -> str | None:
        return self.asker.use(self)

    def postpone(self, until: float) -> None:
        self.asker.put_off(self, until)

    pause = postpone

    def is_void(self) -> bool:
        return not self.asker.has(self)

    @property
    def fetch(self) -> FetchProbe:
        return self.machine
