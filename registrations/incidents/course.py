"""How an incident goes on: opened, grown, folded under its cause, good for a while, over."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from registrations.incidents.causes import Trouble
from registrations.incidents.limits import (
    CRITICAL,
    FLAPPING,
    GROWTH,
    HORIZON,
    LIMITS,
    RELAPSES,
    Limit,
)


@dataclass(frozen=True, slots=True)
class Known:
    """An incident that is not over, as it was kept."""

    id: int
    cause: str
    kind: str
    severity: str
    handsets: int
    most_handsets: int
    good_since: float | None = None
    relapses: int = 0
    folded_into: int | None = None

    def good_s(self, limits: Mapping[str, Limit]) -> float:
        """How long nothing may be wrong before it is over: longer for what comes and goes."""
        kind = FLAPPING if self.relapses >= RELAPSES else self.kind
        return max(limits[kind].good_s, limits[self.kind].good_s)


@dataclass(frozen=True, slots=True)
class Opened:
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Went:
    """It goes on. `entries` are lines for its timeline: (what, sentence)."""

    known: Known
    trouble: Trouble
    entries: tuple[tuple[str, str], ...] = ()
    relapsed: bool = False


@dataclass(frozen=True, slots=True)
class Folded:
    """It follows from another; `into` is that one's cause."""

    known: Known
    into: str


@dataclass(frozen=True, slots=True)
class Better:
    """Nothing is wrong any more, so far."""

    known: Known


@dataclass(frozen=True, slots=True)
class Resolved:
    known: Known


Decision = Opened | Went | Folded | Better | Resolved


def decide(
    known: Sequence[Known],
    found: Iterable[Trouble],
    now: float,
    blind: frozenset[str] = frozenset(),
    limits: Mapping[str, Limit] = LIMITS,
) -> list[Decision]:
    """Return what becomes of the known incidents and which are new, causes before effects.

    Of a kind in `blind` nobody could look: those incidents stay as they are.
    """
    by_cause = {each.cause: each for each in known}
    decisions: list[Decision] = []
    present = set()
    standing = set(by_cause)
    for trouble in found:
        present.add(trouble.cause)
        before = by_cause.get(trouble.cause)
        if before is not None:
            decisions += _goes_on(before, trouble, by_cause, standing)
        elif trouble.is_one(now, limits) and _stands_alone(trouble, standing):
            decisions.append(Opened(trouble))
            standing.add(trouble.cause)
    for each in known:
        if each.cause not in present and each.kind not in blind:
            decisions += _is_gone(each, now, limits)
    return decisions


def _stands_alone(trouble: Trouble, standing: set[str]) -> bool:
    """What follows from an incident is part of it. Only when bindings run out is one too.

    What follows from less than an incident, as somebody has set its limit, must be told itself.
    """
    return (trouble.under in standing) is (trouble.kind == HORIZON)


def _goes_on(
    before: Known, trouble: Trouble, by_cause: Mapping[str, Known], standing: set[str]
) -> list[Decision]:
    entries = []
    relapsed = before.good_since is not None
    if relapsed:
        entries.append(("relapsed", trouble.said.happened))
    if trouble.severity == CRITICAL != before.severity:
        entries.append(("worse", trouble.said.happened))
    elif trouble.handsets > max(GROWTH * before.most_handsets, before.most_handsets + 4):
        entries.append(("grew", trouble.said.happened))
    decisions: list[Decision] = [Went(before, trouble, tuple(entries), relapsed)]
    if trouble.under in standing:
        into = by_cause.get(trouble.under)
        if into is None or into.id != before.folded_into:
            decisions.append(Folded(before, trouble.under))
    return decisions


def _is_gone(before: Known, now: float, limits: Mapping[str, Limit]) -> list[Decision]:
    if before.good_since is None:
        return [Better(before)]
    return [Resolved(before)] if now - before.good_since >= before.good_s(limits) else []
