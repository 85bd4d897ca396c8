"""Renewals at which nothing was new: by far the most of what agents do."""

from registrations.report import AgentResult
from registrations.store import Claimed
from registrations.values import Verdict


def is_calm(claimed: Claimed, result: AgentResult) -> bool:
    """Whether nobody had asked for it, and one server took it that had said yes before as well."""
    if claimed.wish or result.transitions or len(result.heard) != 1 or not result.renewed:
        return False
    heard = result.heard[0]
    said = answers_before(claimed).get(heard.server_id)
    return said == heard.verdict == Verdict.BOUND


def answers_before(claimed: Claimed) -> dict[int, str]:
    """What each server said last to this handset, by the claim's snapshot: a verdict's value."""
    said: dict[int, str] = {}
    for course in claimed.snapshot.get("courses", {}).values():
        for server_id, answer in course.get("answers", {}).items():
            said[int(server_id)] = answer["verdict"]
    return said
