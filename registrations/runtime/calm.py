"""Renewals at which nothing was new: by far the most of what agents do."""

from registrations.report import AgentResult
from registrations.store import Claimed
from registrations.values import Verdict

TOLD_EVERY_S = 900.0
"""One of a line's calm renewals in so long is told of. Where bindings are short its tries would
else be all alike, and of the last hour only."""


def is_calm(claimed: Claimed, result: AgentResult) -> bool:
    """Whether nothing was new, nobody had asked, and it is not this renewal's turn to be told of.

    Nothing was new where one server took the line that had said yes before as well.
    """
    if claimed.wish or result.transitions or len(result.heard) != 1 or not result.renewed:
        return False
    heard, pk = result.heard[0], claimed.registration_id
    verdict, at = answers_before(claimed).get(heard.server_id, ("", 0.0))
    if not verdict == heard.verdict == Verdict.BOUND:
        return False
    return _turn(pk, at) == _turn(pk, heard.at)


def _turn(pk: int, at: float) -> int:
    """The number of a line's TOLD_EVERY_S: they begin at another time for each line."""
    return int((at + pk * 61.0 % TOLD_EVERY_S) // TOLD_EVERY_S)


def answers_before(claimed: Claimed) -> dict[int, tuple[str, float]]:
    """What each server said last to this handset, and when, by the claim's snapshot.

    A verdict's value; Unix seconds.
    """
    said: dict[int, tuple[str, float]] = {}
    for course in claimed.snapshot.get("courses", {}).values():
        for server_id, answer in course.get("answers", {}).items():
            said[int(server_id)] = answer["verdict"], answer.get("at", 0.0)
    return said
