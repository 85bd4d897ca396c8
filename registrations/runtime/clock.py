"""The clocks of a worker: one that never jumps, whether the other did, how long a lease holds."""

import time
from dataclasses import dataclass

GUARD_S = 1.0
"""Nothing is sent in the last second of a lease: other hosts' clocks are not quite ours."""

_READ, _CLOCK = time.clock_gettime, time.CLOCK_BOOTTIME
LEAST_STEP_S = 2.0
"""A clock that is slewed moves by less between two looks."""


def steady() -> float:
    """Return seconds that only go forward and go on while the machine or the process sleeps."""
    return _READ(_CLOCK)


class WallClock:
    """Whether the machine's clock was set: watched against the one that never jumps."""

    def __init__(self) -> None:
        self._shift = time.time() - steady()

    def step(self) -> float:
        """Return by how many seconds it was set since the last look; 0 where it was not."""
        before, self._shift = self._shift, time.time() - steady()
        step = self._shift - before
        return step if abs(step) >= LEAST_STEP_S else 0.0


@dataclass(slots=True)
class Lease:
    """Until when a claim is ours, by both clocks: a process that was stopped finds it over."""

    until: float
    """Unix seconds, as the database holds it."""
    steady_until: float

    @classmethod
    def taken(cls, until: float, seconds: float, asked_at: float) -> "Lease":
        """A lease of `seconds` that ends at `until`; `asked_at` is `steady` before the claim."""
        return cls(until, asked_at + seconds)

    def is_ours(self, at: float | None = None) -> bool:
        """Whether something may still be sent on the strength of this lease, at `at` (`steady`)."""
        if at is None:
            at = steady()
        return at < self.steady_until - GUARD_S and time.time() < self.until - GUARD_S

    def ends_within(self, seconds: float) -> bool:
        return steady() + seconds > self.steady_until
