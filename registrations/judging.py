"""What an attempt came to, as the machine must take it: the settings the guide leaves open decide.

Also how long a server may be silent, and how a server's answer is told under its own name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from registrations.binding import EventKind, Rules
from registrations.sip.timers import Schedule, ladder
from registrations.values import News, OnMassRejection, Outcome, Policy, Target, Verdict

_EVENT_OF: Mapping[Verdict, EventKind] = {
    Verdict.REFUSED: EventKind.REFUSED,
    Verdict.BUSY: EventKind.BUSY,
    Verdict.ERROR: EventKind.ERROR,
    Verdict.SILENT: EventKind.LOST,
    Verdict.UNREACHABLE: EventKind.LOST,
}


def event_of(outcome: Outcome, policy: Policy, *, is_sick: bool) -> EventKind:
    """Return the event an outcome is to the machine. `is_sick`: the server refuses many of late."""
    if outcome.verdict is Verdict.BOUND:
        return EventKind.BOUND
    if outcome.code == 408 and not policy.failover_on_408:
        return EventKind.ERROR
    if outcome.verdict is Verdict.ERROR and outcome.code is not None and outcome.code < 300:
        # A 200 without our Contact or without time is no registration (T7): the next one.
        return EventKind.LOST
    if outcome.verdict is Verdict.BUSY and not policy.failover_on_503:
        return EventKind.ERROR
    moves_on = policy.on_mass_rejection is OnMassRejection.FAILOVER
    if outcome.verdict is Verdict.REFUSED and is_sick and moves_on:
        return EventKind.LOST
    return _EVENT_OF[outcome.verdict]


def patience(policy: Policy) -> Schedule:
    """Return the short schedule for a server that is not the last (redundancy 1.4)."""
    return _patience(policy.retry_max_count, policy.retry_timeout, policy.retry_waits_after_last)


@lru_cache(maxsize=1000)
def _patience(retry_max_count: int, retry_timeout_ms: int, waits_after_last: bool) -> Schedule:
    schedule = ladder(retry_max_count, retry_timeout_ms)
    if waits_after_last:
        return schedule
    return Schedule(sends=schedule.sends[:-1], give_up_after=schedule.sends[-1])


def naming(label: str, sentence: str, target: Target) -> str:
    """Say a sentence about "the server" with the name the admin gave it."""
    for subject in (f"The server {target} ", "The server "):
        if sentence.startswith(subject):
            return f"{label} {sentence.removeprefix(subject)}"
    return f"{label}: {sentence}"


def translated(outcome: Outcome) -> str:
    """Say that a binding was made through an address translation; '' where none is known (N2)."""
    if not outcome.seen_as:
        return ""
    return (
        f"Took the registration, and sees this handset come from {outcome.seen_as}: an address "
        "translation (NAT) lies between, and calls may not find the way back."
    )


def told(rules: Rules, targets: Sequence[Target], news: News, now: float) -> Rules:
    """Return the rules as the news has them: who is to stay, which servers are asked last."""
    drained = {i for i, t in enumerate(targets) if news.drained.get(t.server_id, 0.0) > now}
    stays = news.stays_until > now or 0 in drained
    if stays == rules.stays and drained == rules.avoided:
        return rules
    return replace(rules, stays=stays, avoided=frozenset(drained))
