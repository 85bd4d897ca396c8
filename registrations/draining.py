"""How a drain goes on: empty the server, hold it so, bring home. Pure: rows in, what to do out."""

from dataclasses import dataclass
from enum import StrEnum


class Act(StrEnum):
    WAIT = "wait"
    EMPTY = "empty"
    """Order the job that moves its handsets away."""
    SWEEP = "sweep"
    """Order another such job, for those who came there since that one was written."""
    STOP = "stop"
    """The window is over while that job is still moving them: cancel it."""
    BRING_HOME = "bring_home"
    """Order the job that brings home whom the drain moved."""
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rows of a drain say. Times are Unix seconds."""

    begins_at: float
    ends_at: float
    """The same as `begins_at` where it was called off before it began."""
    has_emptied: bool = False
    """The job that moves them away was ordered."""
    is_emptying: bool = False
    """And is not over, or one for late arrivals is not."""
    has_late: bool = False
    """Somebody is there whom none of its jobs has asked to go."""
    has_called_home: bool = False
    is_calling_home: bool = False
    comes_home: bool = True
    """The server is their primary, and the drain has moved some."""
    is_expected: bool = False
    """Another job has handsets on their way to the server right now."""


def decide(facts: Facts, now: float) -> Act:
    """Return what to do now. Asked twice with the same facts it says the same."""
    is_called_off = facts.ends_at <= facts.begins_at
    if now < facts.begins_at and not is_called_off:
        return Act.WAIT
    if now < facts.ends_at and not is_called_off:
        if not facts.has_emptied:
            return Act.WAIT if facts.is_expected else Act.EMPTY
        return Act.SWEEP if facts.has_late and not facts.is_emptying else Act.WAIT
    if facts.is_emptying:
        return Act.STOP
    if facts.has_called_home or not (facts.has_emptied and facts.comes_home):
        return Act.WAIT if facts.is_calling_home else Act.FINISH
    return Act.BRING_HOME
