"""Why is it there? What an agent's own memory says of one line: rule, wait, next try, answers.

Pure: reads the snapshot an agent left in its row, with the group's policy and mode. Words for
people are made where pages are made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from registrations.binding import HOLDING, RESTING, Binding, Phase, Rules
from registrations.keeping import known, restored, target
from registrations.redundancy import due_at, returns_at_renewal
from registrations.values import FailBackMode, Policy


class WaitsFor(StrEnum):
    """What a binding waits for before its next request."""

    RENEWAL = "renewal"
    """Renews at its server before the granted time ends."""
    PRIMARY_AT_RENEWAL = "primary_at_renewal"
    """Its renewal is offered to the primary first (failback mode registration, new_requests)."""
    FAILBACK_TIMEOUT = "failback_timeout"
    """The primary is tried `fail_back_timeout` after connecting here (duration)."""
    FAILBACK_TTL = "failback_ttl"
    """The primary is tried when the DNS records of this server have lived (dns_ttl)."""
    PAUSE_END = "pause_end"
    """Its server asked to be left alone: it renews when that ends."""
    BACK_OFF = "back_off"
    """No server took it; the round starts again at the top."""
    REFUSAL_BACK_OFF = "refusal_back_off"
    """The server refuses this handset; asked again after a longer wait (D3)."""
    OTHER_CONTACT_GONE = "other_contact_gone"
    """Somebody else is bound; asked again whether that has ended."""
    FIRST_TRY = "first_try"
    """It has not been tried yet."""
    TURN = "turn"
    """A request is decided and waits for its slot under the server's cap."""


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A server this binding does not ask before `until` (Unix seconds)."""

    server_id: int
    until: float


@dataclass(frozen=True, slots=True)
class BindingExplained:
    """One binding of the line."""

    key: str
    phase: str
    server_id: int | None
    """Where it is bound."""
    target: str
    expires_at: float | None
    waits_for: WaitsFor
    next_at: float
    next_server_id: int | None
    next_target: str
    """Which of its places."""
    never_comes_home_by_time: bool
    """It is away from its primary, and no timer brings it back."""
    failures: int
    refusals: int
    left_alone: tuple[LeftAlone, ...]


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """What a server said to this line last."""

    server_id: int
    at: float
    verdict: str
    code: int | None
    answer: str
    """The raw status line's code and reason, '' where nothing came."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole of it, from the machine's own inputs."""

    state: str
    server_id: int | None
    since: float
    cause: str
    reason: str
    bindings: tuple[BindingExplained, ...]
    answers: tuple[LastAnswer, ...]


def explain(
    snapshot: Mapping[str, Any], policy: Policy, *, stays: bool = False
) -> Explanation | None:
    """Explain a line by what its agent kept; None where no agent has run yet.

    `stays`: it goes home only by an order now.
    """
    standing, courses = snapshot.get("standing"), snapshot.get("courses", {})
    if not standing:
        return None
    answers = [
        LastAnswer(server_id=int(server_id), **known(LastAnswer, answer))
        for kept in courses.values()
        for server_id, answer in kept.get("answers", {}).items()
    ]
    return Explanation(
        **known(Explanation, standing),
        bindings=tuple(_explained(key, kept, policy, stays) for key, kept in courses.items()),
        answers=tuple(sorted(answers, key=lambda answer: -answer.at)),
    )


def _explained(key: str, kept: Mapping[str, Any], policy: Policy, stays: bool) -> BindingExplained:
    targets = tuple(target(fields) for fields in kept.get("targets", []))
    binding = restored(kept, targets)
    ttls = tuple(target.ttl for target in targets)
    rules = Rules(policy, ttls, 0.0, lambda: 0.0, stays=stays)
    held = binding.phase in HOLDING and binding.current is not None
    here = targets[binding.current] if held and binding.current is not None else None
    due = due_at(binding, rules)
    next_at = max(due or 0.0, float(kept.get("not_before", 0.0)))
    waits_for = _waits_for(binding, rules)
    index = _next_index(binding, rules, waits_for, next_at)
    is_away = held and binding.current != 0
    return BindingExplained(
        key=key,
        phase=binding.phase.value,
        server_id=here.server_id if here else None,
        target=str(here) if here else "",
        expires_at=binding.expires_at if here else None,
        waits_for=waits_for,
        next_at=next_at,
        next_server_id=None if index is None else targets[index].server_id,
        next_target="" if index is None else str(targets[index]),
        never_comes_home_by_time=is_away
        and binding.failback_at is None
        and not returns_at_renewal(replace(rules, stays=False)),
        failures=binding.failures,
        refusals=binding.refusals,
        left_alone=tuple(
            LeftAlone(targets[index].server_id, until)
            for index, until in sorted(binding.blocked.items())
        ),
    )


_WAITING_FOR: Mapping[Phase, WaitsFor] = {
    Phase.IDLE: WaitsFor.FIRST_TRY,
    Phase.WAITING: WaitsFor.BACK_OFF,
    Phase.REFUSED: WaitsFor.REFUSAL_BACK_OFF,
    Phase.HELD: WaitsFor.OTHER_CONTACT_GONE,
}


def _waits_for(binding: Binding, rules: Rules) -> WaitsFor:
    if binding.phase not in RESTING:
        return WaitsFor.TURN
    if binding.phase is not Phase.BOUND:
        return _WAITING_FOR[binding.phase]
    due = due_at(binding, rules)
    if due is not None and due < binding.renew_at:
        is_by_ttl = rules.policy.fail_back_mode is FailBackMode.DNS_TTL
        return WaitsFor.FAILBACK_TTL if is_by_ttl else WaitsFor.FAILBACK_TIMEOUT
    if binding.blocked.get(binding.current or 0) == binding.renew_at:
        return WaitsFor.PAUSE_END
    is_away = binding.current != 0 and binding.blocked.get(0, 0.0) <= binding.renew_at
    if is_away and returns_at_renewal(rules):
        return WaitsFor.PRIMARY_AT_RENEWAL
    return WaitsFor.RENEWAL


def _next_index(binding: Binding, rules: Rules, waits_for: WaitsFor, next_at: float) -> int | None:
    if waits_for is WaitsFor.TURN:
        return binding.trying
    if waits_for in (WaitsFor.RENEWAL, WaitsFor.PAUSE_END):
        return binding.current
    free = (i for i in range(rules.targets) if binding.blocked.get(i, 0.0) <= next_at)
    return next(free, None)
