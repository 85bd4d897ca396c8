"""Agents that come to no end: how long one may legally take, and when it begins again.

All of it follows from the policy and the longest times of SIP's own timers: whatever servers,
networks and operators do, an agent that still works is never called stuck.
"""

from registrations.course import CLAIM_S
from registrations.judging import patience
from registrations.sip.register import MAX_CHALLENGES
from registrations.sip.timers import TIMER_F
from registrations.values import Policy

SLACK_S = 15.0
"""A busy process may be late by so much before anybody is suspected."""
REQUESTS = MAX_CHALLENGES + 3
"""Most requests of one attempt: the first, one for each challenge, a 423's, and UDP after TCP."""
FIRST_REST_S = 30.0
LONGEST_REST_S = 1800.0
FORGETS_FROM = 3
"""From this restart in a row on the agent begins without what its row had kept: that may be it."""


def longest_silence_s(policy: Policy, permit_s: float) -> float:
    """Return for how long nothing may leave, come or fall due, in seconds.

    A request waits `permit_s` for its permit at most, then for its answer.
    """
    return max(permit_s, TIMER_F, patience(policy).give_up_after) + SLACK_S


def longest_claim_s(policy: Policy, targets: int, permit_s: float) -> float:
    """Return how long a claim of a line may last whose bindings have so many targets in all.

    A round tries each target once, asking who is bound and then for a binding, each request
    answered at the last moment. While one binding is still at it the others may begin again.
    """
    request_s = permit_s + max(TIMER_F, patience(policy).give_up_after)
    round_s = max(1, targets) * 2 * REQUESTS * request_s
    return CLAIM_S + 2 * round_s + SLACK_S


def rest_s(restarts: int) -> float:
    """Return how long an agent rests before it is begun anew, `restarts` times already in a row.

    The first time not at all, then 30 s, doubling to half an hour.
    """
    if restarts <= 0:
        return 0.0
    return float(min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(restarts - 1, 20)))


class Pulse:
    """Whether an agent under way still moves, by looks at it at regular intervals.

    It counts looks and not seconds: a process that was stopped has not looked meanwhile, and no
    agent in it is to blame.
    """

    __slots__ = ("_seen", "looks", "still", "turns")

    def __init__(self) -> None:
        self.turns = 0
        """Inputs its agent was given so far; counted by whoever gives them."""
        self.looks = 0
        self.still = 0
        """Looks in a row between which it was given nothing."""
        self._seen = 0

    def look(self) -> None:
        """Look whether it moved since the last time."""
        self.looks += 1
        self.still = 0 if self.turns != self._seen else self.still + 1
        self._seen = self.turns

    def is_stuck(self, every_s: float, silence_s: float, claim_s: float) -> bool:
        """Say whether it was still, or at it, for longer than is legal; looks are `every_s`."""
        return self.still * every_s > silence_s or self.looks * every_s > claim_s
