"""How a job goes on: canary, wave after wave, stop. Pure: what its rows say in, what to do out.

Wave 0 is the canary: one handset of each group, because a group is one primary under one policy.
A wave is judged group by group, so that a primary that refuses all its handsets is not hidden by
the many of another group that came home.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

CANARY = 0
NEVER = 100
"""The abort threshold at which nothing stops a job, not even a failed canary."""

WAVE_S = 5
"""Seconds of a server's cap that a wave takes, where its size is not given."""
REQUESTS_EACH = 2
"""REGISTERs a handset costs at a server it comes to: the first is challenged."""
SMALLEST_WAVE = 10
LARGEST_WAVE = 500
MOST_AT_ONCE = 2000
"""Handsets of all groups together in one wave, where its size is not given."""
STEP_S = 1
"""How often a job is looked at, so how long lies between two waves at most."""


class Act(StrEnum):
    WAIT = "wait"
    BEGIN = "begin"
    """Ask the handsets of `wave`."""
    ABORT = "abort"
    """Ask nobody more, because of `reason`."""
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class Decision:
    act: Act
    wave: int = CANARY
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """Those of one group that were asked in the wave under way."""

    group: str
    total: int
    pending: int
    failed: int
    """Refused or not taken; never more than `total - pending`."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rows of a job say."""

    wave: int | None
    """The last wave begun; None: not even the canary."""
    lanes: tuple[Lane, ...]
    next_wave: int | None
    """The first later wave in which anybody waits."""
    abort_above_percent: int
    is_paused: bool = False
    """No further wave begins: an operator paused it, or it waits for no-failback hours to end."""
    is_stopped: bool = False
    """Cancelled or aborted: nobody else is asked."""


def decide(facts: Facts) -> Decision:
    """Return what to do now. Asked twice with the same facts it says the same."""
    is_busy = any(lane.pending for lane in facts.lanes)
    if facts.is_stopped:
        return Decision(Act.WAIT if is_busy else Act.FINISH)
    if reason := trouble(facts):
        return Decision(Act.ABORT, reason=reason)
    if is_busy:
        return Decision(Act.WAIT)
    if facts.next_wave is None:
        return Decision(Act.FINISH)
    if facts.is_paused:
        return Decision(Act.WAIT)
    return Decision(Act.BEGIN, facts.next_wave)


def trouble(facts: Facts) -> str:
    """Return why the wave under way stops the job, as a sentence; '' where it does not.

    A canary stops it whatever the threshold, unless that is NEVER.
    """
    threshold = facts.abort_above_percent
    if threshold >= NEVER:
        return ""
    for lane in facts.lanes:
        if facts.wave == CANARY and lane.failed:
            return f"The canary of group {lane.group} failed, so nobody else was asked."
        if lane.failed * 100 > threshold * lane.total:
            return (
                f"In wave {facts.wave}, {lane.failed} of {lane.total} handsets of group "
                f"{lane.group} failed: more than {threshold} %."
            )
    return ""


def wave_size(cap: int, wanted: int | None = None, groups: int = 1) -> int:
    """Return how many handsets of one group a wave takes; `cap` is its REGISTERs/s, 0: none.

    `groups` is in how many groups handsets wait: they share what one wave takes in all.
    """
    if wanted is not None:
        return wanted
    most = min(LARGEST_WAVE, max(MOST_AT_ONCE // max(groups, 1), SMALLEST_WAVE))
    return min(max(cap * WAVE_S // REQUESTS_EACH, SMALLEST_WAVE), most) if cap else most


def waves(handsets: int, size: int) -> int:
    """Return how many waves a group needs beside its canary."""
    return math.ceil(max(handsets - 1, 0) / size)


def seconds(groups: Iterable[tuple[int, int, int]]) -> float:
    """Return about how long a job takes; groups as (handsets, wave size, cap).

    Groups go side by side; a wave lasts as long as its slowest group needs at its cap.
    """
    asked = [(n, size, cap) for n, size, cap in groups if n]
    longest = max((waves(n, size) for n, size, _ in asked), default=0)
    total = float(STEP_S) if asked else 0.0
    for wave in range(longest):
        left = ((min(size, n - 1 - wave * size), cap) for n, size, cap in asked)
        total += STEP_S + max(REQUESTS_EACH * n / cap if cap else 0.0 for n, cap in left if n > 0)
    return total
