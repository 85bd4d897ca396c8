"""One binding as the redundancy machine sees it: its phases, its events, what it decides by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from registrations.records import record
from registrations.values import Policy


class Phase(StrEnum):
    IDLE = "idle"
    """Not bound, never asked since it was set up."""
    SEEKING = "seeking"
    """Not bound; a try is under way."""
    BOUND = "bound"
    """Bound at `current`; waits for the renewal or for the failback try."""
    RENEWING = "renewing"
    """Bound at `current`; its renewal is under way."""
    RETURNING = "returning"
    """Bound at `current`; a try at the primary, or where an operator wants it, is under way."""
    MOVING = "moving"
    """`current` did not take the renewal; a try at another target is under way."""
    WAITING = "waiting"
    """Not bound; no target took it; backs off until `retry_at`."""
    REFUSED = "refused"
    """Not bound; the server asked refuses this handset; backs off for long."""
    HELD = "held"
    """Not bound; somebody else is bound at this AOR, and this agent was never."""


RESTING = frozenset({Phase.IDLE, Phase.BOUND, Phase.WAITING, Phase.REFUSED, Phase.HELD})
HOLDING = frozenset({Phase.BOUND, Phase.RENEWING, Phase.RETURNING, Phase.MOVING})


class EventKind(StrEnum):
    DUE = "due"
    """The time `due_at` named has come."""
    HOME = "home"
    """An operator wants this binding on the primary now, whatever its health."""
    AWAY = "away"
    """An operator wants this binding on the target `index`; until that takes it, it stays."""
    LEAVE = "leave"
    """The fleet knows that the server holding this binding is silent: move without asking it."""
    BOUND = "bound"
    FOREIGN = "foreign"
    """Asked before the first binding, the server listed somebody else's Contact."""
    REFUSED = "refused"
    BUSY = "busy"
    ERROR = "error"
    LOST = "lost"
    """No answer, or the transport failed."""


@record
class Event:
    kind: EventKind
    expires: int = 0
    """Granted seconds, with BOUND."""
    retry_after: int | None = None
    """Seconds, with BUSY and ERROR."""
    index: int = 0
    """With AWAY: where to."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the machine decides by."""

    policy: Policy
    ttls: tuple[int | None, ...]
    """One per target: seconds its DNS records live, None for a literal address."""
    ladder_s: float
    """Seconds until a silent server that is not the last is given up."""
    jitter: Callable[[], float]
    """Uniform in [0, 1)."""
    stays: bool = False
    """Nothing goes back to the primary by itself now."""
    avoided: frozenset[int] = frozenset()
    """Targets of servers that are drained: asked when all others are out of the question."""

    @property
    def targets(self) -> int:
        return len(self.ttls)


@record
class Binding:
    """One binding. Indexes point into its list of targets; times are Unix seconds."""

    phase: Phase = Phase.IDLE
    current: int | None = None
    trying: int | None = None
    tried: tuple[int, ...] = ()
    connected_at: float = 0.0
    """Since when `current` is the working server: `duration` failback counts from here."""
    granted: float = 0.0
    expires_at: float = 0.0
    renew_at: float = 0.0
    failback_at: float | None = None
    retry_at: float = 0.0
    failures: int = 0
    """Rounds in a row that found no server."""
    refusals: int = 0
    blocked: Mapping[int, float] = field(default_factory=dict)
    """Targets to leave alone, and until when: 503 with Retry-After, or a refusal."""

    def asking(self, phase: Phase, index: int) -> "Binding":
        """Return it with a try at `index` under way: the one change that each round makes."""
        return Binding(
            phase,
            self.current,
            index,
            self.tried,
            self.connected_at,
            self.granted,
            self.expires_at,
            self.renew_at,
            self.failback_at,
            self.retry_at,
            self.failures,
            self.refusals,
            self.blocked,
        )

    def may_ask(self, index: int, now: float) -> bool:
        """Say whether that target was not asked in this round, and need not be left alone."""
        return index not in self.tried and self.blocked.get(index, 0.0) <= now

    @property
    def taken_at(self) -> float:
        """When `current` last took the registration."""
        return self.expires_at - self.granted


@record
class Try:
    """REGISTER at this target now."""

    index: int
    last: bool
    """No other target is left in this round: wait the whole RFC 3261 time (redundancy 1.4)."""
