"""When a rule tells of an incident: after how long, how often again, in what hours, and when not.

The same answer serves the message that is due now and the question who would have been told.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import tzinfo

from registrations.incidents.limits import CRITICAL
from registrations.windows import Weekly, end_of, next_begin

OPENED, AGAIN, RESOLVED = "opened", "again", "resolved"

MOST_STEPS = 20
"""Windows and hours may follow on one another; nobody waits for longer chains."""

MOST_TELLINGS = 1000
"""Of one incident by one rule, when it is replayed."""


@dataclass(frozen=True, slots=True)
class Case:
    """An incident as rules and windows see it."""

    kind: str
    severity: str
    detected_at: float
    handsets: int = 0
    of: int = 0
    place: str = ""
    """Of its server; '' where it is about none."""
    groups: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    """No names: it may touch any."""
    acknowledged_at: float | None = None
    resolved_at: float | None = None
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """A maintenance: what it covers, and when it is on."""

    name: str
    servers: frozenset[str] = frozenset()
    """By their places: a machine is down for all groups it serves."""
    groups: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    weekly: tuple[Weekly, tzinfo] | None = None
    span: tuple[float, float] | None = None

    def covers(self, case: Case) -> bool:
        """Whether all that the incident touches lies within."""
        if case.place and case.place in self.servers:
            return True
        by_group = bool(case.groups) and case.groups <= self.groups
        return by_group or (bool(case.sites) and case.sites <= self.sites)

    def end_at(self, at: float) -> float | None:
        """Return when it ends that is on at `at`; None where it is not on."""
        if self.span is not None and self.span[0] <= at < self.span[1]:
            return self.span[1]
        return end_of(self.weekly[0], at, self.weekly[1]) if self.weekly else None


def expected_by(case: Case, windows: Iterable[Window], at: float) -> Window | None:
    """Return the window that is on and covers it, the one that ends last."""
    on = [(end, w) for w in windows if w.covers(case) and (end := w.end_at(at)) is not None]
    return max(on, key=lambda found: found[0])[1] if on else None


@dataclass(frozen=True, slots=True)
class Rule:
    """Whom it concerns and when it speaks. What is empty leaves nothing out."""

    severity: str
    kinds: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    at_least: int = 0
    percent: float = 0.0
    after_s: float = 0.0
    repeat_s: float = 0.0
    tells_end: bool = True
    hours: tuple[Weekly, tzinfo] | None = None

    def concerns(self, case: Case) -> bool:
        if self.kinds and case.kind not in self.kinds:
            return False
        if case.is_folded and not self.kinds:
            # Its cause is told of; only who asks for just this wants both.
            return False
        if self.severity == CRITICAL != case.severity:
            return False
        if case.handsets < self.at_least or case.handsets * 100 < self.percent * max(case.of, 1):
            return False
        return _meet(self.groups, case.groups) and _meet(self.sites, case.sites)


def _meet(wanted: frozenset[str], touched: frozenset[str]) -> bool:
    return not wanted or not touched or not wanted.isdisjoint(touched)


@dataclass(frozen=True, slots=True)
class Told:
    """What a rule has said of an incident so far: how often, and when last."""

    times: int = 0
    last_at: float = 0.0
    has_ended: bool = False


def next_telling(
    rule: Rule, case: Case, told: Told, windows: Iterable[Window] = ()
) -> tuple[str, float] | None:
    """Return what it says next and from when on that is due; None: nothing more as things stand."""
    if told.has_ended:
        return None
    if alarm := _next_alarm(rule, case, told, tuple(windows)):
        return alarm
    if told.times and rule.tells_end and case.resolved_at is not None:
        return RESOLVED, _allowed(rule, case, max(case.resolved_at, told.last_at), ())
    return None


def _next_alarm(
    rule: Rule, case: Case, told: Told, windows: tuple[Window, ...]
) -> tuple[str, float] | None:
    """Who has acknowledged it is not told again; what is over is not told any more."""
    if told.times:
        what, at = AGAIN, told.last_at + rule.repeat_s
        is_wanted = rule.repeat_s > 0
    else:
        what, at = OPENED, case.detected_at + rule.after_s
        is_wanted = rule.concerns(case)
    if not is_wanted:
        return None
    at = _allowed(rule, case, at, windows)
    return (
        (what, at) if at < min(map(_or_never, (case.acknowledged_at, case.resolved_at))) else None
    )


def _or_never(at: float | None) -> float:
    return float("inf") if at is None else at


def _allowed(rule: Rule, case: Case, at: float, windows: tuple[Window, ...]) -> float:
    """Return the first moment from `at` on in the rule's hours and in none of the windows."""
    for _ in range(MOST_STEPS):
        window = expected_by(case, windows, at)
        if window is not None:
            at = window.end_at(at) or at
        elif rule.hours is not None and end_of(rule.hours[0], at, rule.hours[1]) is None:
            begin = next_begin(rule.hours[0], at, rule.hours[1])
            if begin is None:
                return float("inf")
            at = begin
        else:
            return at
    return float("inf")


def replay(
    rule: Rule, case: Case, until: float, windows: Iterable[Window] = ()
) -> Iterator[tuple[str, float]]:
    """Yield what the rule would have said of an incident of the past, and when."""
    told, windows = Told(), tuple(windows)
    for _ in range(MOST_TELLINGS):
        found = next_telling(rule, case, told, windows)
        if found is None or found[1] > until:
            return
        yield found
        told = replace(told, times=told.times + 1, last_at=found[1], has_ended=found[0] == RESOLVED)
