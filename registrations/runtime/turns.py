"""Whose question is next at a place, and how many may be open there at once."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from registrations.runtime.clock import Lease, steady
from registrations.store import ClaimedProof
from registrations.values import Target

if TYPE_CHECKING:
    from registrations.runtime.question import Question

PACED_AT_A_PLACE = 50
"""Open at once: most of them wait for a permit, and many permits are reserved together."""
UNPACED_AT_A_PLACE = 10
"""The same where the server has no cap, so that none waits."""
BURST_S = 0.5
"""So much of the share may be used at once: permits are reserved together then."""
GATHER_S = 0.4
"""So long a lane waits after one has ended: those that begin together share a reservation, which
costs more than a question."""


@dataclass(eq=False, slots=True)
class Lane:
    """The questions for one place: a few open, the others wait."""

    allowance: int
    waiting: deque["Turn"] = field(default_factory=deque)
    open: int = 0
    unanswered: int = 0
    """Of those, on their way: each of them may be refused."""
    held: deque["Question"] = field(default_factory=deque)
    """Of those, the ones that wait for an answer to one before them."""
    free_at: float = 0.0
    """When those begun so far have had their share of the cap, in `steady` seconds."""
    timer: asyncio.TimerHandle | None = None

    @property
    def has_room(self) -> bool:
        """Whether the next one may begin."""
        is_paced = self.waiting[0].claimed.rate
        return self.open < (PACED_AT_A_PLACE if is_paced else UNPACED_AT_A_PLACE)

    @property
    def may_send(self) -> bool:
        """Whether all that is unanswered may be refused without overshooting."""
        return self.unanswered < self.allowance

    @property
    def gathers(self) -> bool:
        """Whether the next ones may well wait to begin together: they are many, and paced."""
        return bool(self.waiting) and self.waiting[0].claimed.rate > 0 and self.allowance > 0

    @property
    def is_early(self) -> bool:
        """Whether those begun so far have used more than their share."""
        return self.free_at - BURST_S > steady()

    def book(self, registers: int, rate: float) -> None:
        """Note that a question begins with so many REGISTERs, of `rate` a second."""
        self.free_at = max(steady(), self.free_at) + registers / rate


@dataclass(frozen=True, slots=True)
class Turn:
    """A question that waits for its moment."""

    claimed: ClaimedProof
    lease: Lease
    targets: tuple[Target, ...]
    """The server's places, to be asked in this order until one answers."""
