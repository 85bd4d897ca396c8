"""What an agent says to whoever drives it: permits it wants, what happened, what to save."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registrations.records import record
from registrations.values import HostPort, ListedContact, Outcome, Target, Verdict


@record
class Want:
    """A REGISTER that may leave only when the server's pace allows it."""

    server_id: int
    target: Target
    is_retry: bool
    key: str


@dataclass(slots=True)
class Decision:
    """What an agent asks for after its inputs. `wants` and `datagrams` are told once."""

    pauses: Mapping[tuple[int, HostPort], float]
    """The (server, place) that asked this line to leave them alone, and until when."""
    wants: tuple[Want, ...] = ()
    """Requests that wait for a permit."""
    datagrams: tuple[tuple[Target, bytes], ...] = ()
    """What must leave now."""
    branches: tuple[str, ...] = ()
    """Via branches of the transactions in flight."""
    timer: float | None = None
    """When `handle_timer` is wanted next; None while nothing is in flight."""
    is_idle: bool = True
    """Nothing is in flight and nothing is wanted: save `result()`."""

    def wake_by(self, at: float | None) -> None:
        """Have `handle_timer` called at that time at the latest."""
        if at is not None and (self.timer is None or at < self.timer):
            self.timer = at


@record
class Moved:
    """One change of (state, server), as it goes into the history."""

    at: float
    from_state: str
    from_server_id: int | None
    to_state: str
    to_server_id: int | None
    cause: str
    code: int | None
    reason: str
    seconds: float | None
    detect_seconds: float | None = None
    """How long the server that was left can have been away unnoticed, at most."""


@record
class WishResult:
    """What became of an operator's failback for this line."""

    result: str
    reason: str
    seconds: float


@record
class Heard:
    """What one attempt taught about a server: did it answer at all."""

    server_id: int
    place: HostPort
    """Which of its places was asked."""
    answered: bool
    at: float
    answer: str
    code: int | None = None
    verdict: str = ""
    retry_after: int | None = None
    """Seconds of a 503's Retry-After: the place asks to be left alone by all."""
    sentence: str = ""
    """The answer, or its absence, for an admin."""
    others: tuple[ListedContact, ...] = ()
    """Who else is bound, where it took the binding."""
    granted: int | None = None
    """For how many seconds it took the binding; None where it did not."""
    asked_at: float | None = None
    """Where nobody answered: when the request left for the last time."""

    @classmethod
    def of(cls, target: Target, outcome: Outcome) -> "Heard":
        """Return what the outcome of an attempt teaches."""
        verdict, code = outcome.verdict, outcome.code
        return Heard(
            target.server_id,
            target.host_port,
            code is not None,
            outcome.ended_at,
            outcome.answer,
            code,
            str(verdict),
            outcome.retry_after if verdict is Verdict.BUSY else None,
            outcome.sentence,
            outcome.others if verdict is Verdict.BOUND else (),
            outcome.expires if verdict is Verdict.BOUND else None,
            outcome.asked_at,
        )


@record
class AgentResult:
    """What is saved when the agent is idle."""

    state: str
    server_id: int | None
    since: float
    reason: str
    cause: str
    expires_at: float | None
    due_at: float
    attempt: int
    code: int | None
    answer: str
    heard_at: float | None
    renewed: tuple[int, ...]
    """The servers at which a binding was renewed, one for each renewal."""
    snapshot: dict[str, Any]
    transitions: tuple[Moved, ...]
    wish_result: WishResult | None
    heard: tuple[Heard, ...]
    assumed_server_id: int | None = None
    """Where its calls go without a registration there (re_register_on off, server silent)."""


@dataclass(slots=True)
class Standing:
    """What the outside sees of the line."""

    state: str = "registering"
    server_id: int | None = None
    since: float = 0.0
    reason: str = ""
    cause: str = "first"


@dataclass(slots=True)
class Learnt:
    """What this claim has brought so far."""

    code: int | None = None
    answer: str = ""
    heard_at: float | None = None
    renewed: tuple[int, ...] = ()
    moves: tuple[Moved, ...] = ()
    heard: tuple[Heard, ...] = ()
    pauses: dict[tuple[int, HostPort], float] = field(default_factory=dict)
    """See `Decision`."""

    def take(self, target: Target, outcome: Outcome, *, is_renewal: bool) -> None:
        """Add what one attempt came to."""
        self.code = outcome.code
        self.answer = outcome.answer or outcome.sentence
        if outcome.code is not None:
            self.heard_at = outcome.ended_at
        if outcome.verdict is Verdict.BOUND and is_renewal:
            self.renewed += (target.server_id,)
        if outcome.verdict is not Verdict.BUSY or outcome.code is not None:
            heard = Heard.of(target, outcome)
            self.heard += (heard,)
            if heard.retry_after:
                self.pauses[heard.server_id, heard.place] = heard.at + heard.retry_after
