"""Somebody knows more than the agent: it looks again now, or goes where it is told."""

from dataclasses import replace

from registrations.binding import HOLDING, RESTING, Binding, Phase, Rules
from registrations.redundancy import armed_failback, returns_at_renewal

LEAST_LEFT_S = 64.0
"""What is taken to be left of a binding until its server has been asked: two transactions."""


def resumed(binding: Binding, rules: Rules, now: float, *, was_refused_at_home: bool) -> Binding:
    """Return the binding as it goes on after an edit, an order, or its server's recovery.

    One held elsewhere stays; where its primary had refused it, the way home is open again: at
    once, unless the policy knows of no way home by time.
    """
    if binding.phase in RESTING - HOLDING:
        return Binding()
    if binding.phase is not Phase.BOUND or not binding.current:
        return binding
    binding = replace(binding, failback_at=_way_home(binding, rules, now))
    if not was_refused_at_home:
        return binding
    left = {index: until for index, until in binding.blocked.items() if index}
    comes_home = returns_at_renewal(rules) or binding.failback_at is not None
    failback_at = 0.0 if comes_home else None
    return replace(binding, blocked=left, refusals=0, failback_at=failback_at)


def _way_home(binding: Binding, rules: Rules, now: float) -> float | None:
    """When its primary is tried by a rule that may be new, or a primary that may be another now."""
    latest = armed_failback(rules, binding.current or 0, now)
    if latest is None or binding.failback_at is not None:
        return None if latest is None else min(latest, binding.failback_at or 0.0)
    return armed_failback(rules, binding.current or 0, binding.connected_at)


def retimed(binding: Binding, step: float, now: float) -> Binding:
    """Return the binding as it goes on after the clock was set by `step` seconds.

    Whose clock was right meanwhile nobody knows, so nobody waits for a server for longer than by
    either, and what is bound is renewed now: its server alone can say until when it holds it.
    """
    blocked = {index: min(until, until + step) for index, until in binding.blocked.items()}
    if binding.phase not in HOLDING:
        retry_at = min(binding.retry_at, binding.retry_at + step)
        return replace(binding, retry_at=retry_at, blocked=blocked)
    failback_at = binding.failback_at
    return replace(
        binding,
        blocked=blocked,
        connected_at=min(binding.connected_at, now),
        renew_at=now,
        failback_at=None if failback_at is None else failback_at + step,
        expires_at=now + min(binding.granted, max(LEAST_LEFT_S, binding.expires_at + step - now)),
    )


def elsewhere(binding: Binding, rules: Rules, now: float) -> list[int]:
    """Return the targets it may go to instead, in order: neither drained nor to be left alone."""
    shut = {index for index, until in binding.blocked.items() if until > now}
    out = shut | rules.avoided | {binding.current}
    return [index for index in range(rules.targets) if index not in out]
