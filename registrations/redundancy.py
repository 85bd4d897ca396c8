"""Which server one binding should be on: the handset's redundancy rules as a pure machine.

A *binding* runs over an ordered list of targets, the first being the primary. A failover group
is one binding over all its servers; in a fallback group every entry has a binding of its own.
`step` is the whole machine: (binding, event, rules, now) -> (binding, try). It knows neither SIP
nor clocks: the agent carries out the `Try` it returns and comes back with what became of it.

    resting phases   IDLE  BOUND  WAITING  REFUSED  HELD    left by DUE, HOME and LEAVE
    trying phases    SEEKING  RENEWING  RETURNING  MOVING   left by an answer
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from registrations.binding import (
    HOLDING,
    RESTING,
    Binding,
    Event,
    EventKind,
    Phase,
    Rules,
    Try,
)
from registrations.intervals import RENEWAL_MARGIN_S, back_off, renewal_delay
from registrations.values import FailBackMode

SHORTEST_TTL_S = 10.0
"""A record that lives shorter does not make a handset try its primary more often."""
REFUSAL_RETRY_BASE_S = 30.0
REFUSAL_RETRY_MAX_S = 1800.0
"""A server that refuses a handset is asked again after 30-60 s, doubling to half an hour (D3)."""
HELD_RECHECK_S = 300.0
"""How often a held line asks whether the other Contact is gone."""

Step = tuple[Binding, Try | None]
Handler = Callable[[Binding, Event, Rules, float], Step]


class ImpossibleEvent(Exception):
    """An answer reached a binding that had asked nothing: a fault of the caller."""


def step(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    """Return the binding after `event` and the try it calls for, if any.

    Raises ImpossibleEvent for an answer in a resting phase.
    """
    return TABLE[binding.phase, event.kind](binding, event, rules, now)


def due_at(binding: Binding, rules: Rules) -> float | None:
    """When the binding wants DUE, in Unix seconds; None while a try is under way."""
    if binding.phase is Phase.IDLE:
        return 0.0
    if binding.phase is Phase.BOUND:
        failback_at = _failback_due_at(binding, rules)
        return binding.renew_at if failback_at is None else min(binding.renew_at, failback_at)
    if binding.phase in RESTING:
        return binding.retry_at
    return None


def is_last(binding: Binding, rules: Rules, index: int, now: float) -> bool:
    """Say whether no target would be left after `index` fails."""
    if binding.phase is Phase.RETURNING:
        return False
    for other in range(rules.targets):
        if other != index and binding.may_ask(other, now):
            return False
    return True


def _failback_due_at(binding: Binding, rules: Rules) -> float | None:
    if binding.current in (None, 0) or binding.failback_at is None or rules.stays:
        return None
    return max(binding.failback_at, binding.blocked.get(0, 0.0))


def returns_at_renewal(rules: Rules) -> bool:
    """Say whether a binding away from its primary offers it every renewal first (1.5)."""
    modes = (FailBackMode.REGISTRATION, FailBackMode.NEW_REQUESTS)
    return rules.policy.fail_back_mode in modes and not rules.stays


def armed_failback(rules: Rules, index: int, start: float) -> float | None:
    """When the primary is tried again after connecting to `index` at `start` (1.5)."""
    policy = rules.policy
    if policy.fail_back_mode is FailBackMode.DURATION and policy.fail_back_timeout > 0:
        return start + policy.fail_back_timeout
    ttl = rules.ttls[index] if policy.fail_back_mode is FailBackMode.DNS_TTL else None
    return None if ttl is None else start + max(ttl, SHORTEST_TTL_S)


def _try(binding: Binding, rules: Rules, phase: Phase, index: int, now: float) -> Step:
    asking = binding.asking(phase, index)
    return asking, Try(index, is_last(asking, rules, index, now))


def _next(binding: Binding, rules: Rules, phase: Phase, now: float) -> Step:
    """Go on to the next target of the round, or back off when none is left."""
    order = range(rules.targets)
    for index in sorted(order, key=rules.avoided.__contains__) if rules.avoided else order:
        if binding.may_ask(index, now):
            return _try(binding, rules, phase, index, now)
    if phase is Phase.MOVING and now < binding.renew_at:
        # The fleet's word made it leave, the server holding the binding was not even asked.
        return _keep(binding, rules, now), None
    return _wait(binding, rules, now), None


def _keep(binding: Binding, rules: Rules, now: float) -> Binding:
    """Nobody else takes it: the binding stands while it lasts; its server is asked again soon."""
    if binding.expires_at <= now:
        return _wait(binding, rules, now)
    latest = binding.expires_at - RENEWAL_MARGIN_S
    latest = latest if latest > now else binding.expires_at
    failures = binding.failures + 1
    renew_at = min(now + _retry_delay(rules, failures), latest)
    return replace(
        binding, phase=Phase.BOUND, trying=None, tried=(), failures=failures, renew_at=renew_at
    )


def _wait(binding: Binding, rules: Rules, now: float) -> Binding:
    failures = binding.failures + 1
    delay = _retry_delay(rules, failures)
    if 0 < rules.targets <= len(binding.blocked):
        delay = max(delay, min(binding.blocked.values()) - now)
    return replace(
        binding,
        phase=Phase.WAITING,
        current=None,
        trying=None,
        tried=(),
        failures=failures,
        retry_at=now + delay,
    )


def _retry_delay(rules: Rules, failures: int) -> float:
    policy = rules.policy
    return back_off(policy.register_retry_base, policy.register_retry_max, failures, rules.jitter())


def _tried(binding: Binding) -> Binding:
    index = _asked(binding)
    return replace(binding, tried=(*binding.tried, index))


def _asked(binding: Binding) -> int:
    if binding.trying is None:
        raise ImpossibleEvent(f"no try is under way in phase {binding.phase}")
    return binding.trying


def _block(binding: Binding, seconds: float | None, now: float) -> Binding:
    if seconds is None:
        return binding
    return replace(binding, blocked={**binding.blocked, _asked(binding): now + seconds})


def _shun(binding: Binding, rules: Rules, now: float) -> Binding:
    refusals = binding.refusals + 1
    delay = back_off(REFUSAL_RETRY_BASE_S, REFUSAL_RETRY_MAX_S, refusals, rules.jitter())
    return _block(replace(binding, refusals=refusals), delay, now)


def _fresh(binding: Binding, now: float) -> Binding:
    if not binding.tried and not binding.blocked:
        return binding
    kept = {index: until for index, until in binding.blocked.items() if until > now}
    return replace(binding, tried=(), blocked=kept)


def _impossible(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    raise ImpossibleEvent(f"{event.kind} in phase {binding.phase}")


def _nothing_to_do(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    return binding, None


def _start_round(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    return _next(_fresh(binding, now), rules, Phase.SEEKING, now)


def _renew_or_return(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    binding = _fresh(binding, now)
    current = binding.current or 0
    failback_at = _failback_due_at(binding, rules)
    renewal_is_due = now >= binding.renew_at
    if renewal_is_due:
        primary_first = returns_at_renewal(rules)
    else:
        primary_first = failback_at is not None and now >= failback_at
        time_for_ladder = min(rules.ladder_s + RENEWAL_MARGIN_S, binding.granted / 2)
        if primary_first and binding.expires_at - now < time_for_ladder:
            primary_first, renewal_is_due = False, True
    if primary_first and current != 0 and 0 not in binding.blocked:
        return _try(binding, rules, Phase.RETURNING, 0, now)
    paused_until = binding.blocked.get(current)
    if renewal_is_due and paused_until is not None:
        return _wait_out_or_leave(binding, event, rules, now)
    if renewal_is_due:
        return _try(binding, rules, Phase.RENEWING, current, now)
    return binding, None


def _wait_out_or_leave(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    """The server holding the binding asked to be left alone: a pause must not let it lapse."""
    paused_until = binding.blocked[binding.current or 0]
    if paused_until + RENEWAL_MARGIN_S < binding.expires_at:
        return replace(binding, renew_at=paused_until, tried=()), None
    kept = replace(binding, renew_at=min(paused_until, binding.expires_at))
    return _leave(kept, event, rules, now)


def _leave(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    """Move on without asking the current server; stay where no other can be asked."""
    # Not asked is not lost.
    tried = (*binding.tried, binding.current or 0)
    moving = _standing(replace(_fresh(binding, now), tried=tried))
    if is_last(moving, rules, binding.current or 0, now):
        return replace(binding, tried=()), None
    return _next(moving, rules, Phase.MOVING, now)


def _standing(binding: Binding) -> Binding:
    """What its server holds stands to its end, should nobody else take the line."""
    latest = binding.expires_at - RENEWAL_MARGIN_S
    return replace(binding, renew_at=max(binding.renew_at, latest))


def _hold_back(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    wait = HELD_RECHECK_S * (0.5 + 0.5 * rules.jitter())
    held = replace(binding, phase=Phase.HELD, trying=None, tried=(), retry_at=now + wait)
    return held, None


def _come_home(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    phase = Phase.RETURNING if binding.phase in HOLDING else Phase.SEEKING
    if phase is Phase.RETURNING and binding.current == 0:
        return binding, None
    unblocked = {index: until for index, until in binding.blocked.items() if index != 0}
    return _try(replace(binding, blocked=unblocked, tried=()), rules, phase, 0, now)


def _go_away(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    """Try another server and stay where that does not take it: an order costs no binding."""
    if event.index == binding.current:
        return binding, None
    return _try(replace(binding, tried=()), rules, Phase.RETURNING, event.index, now)


def _bind(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    index = _asked(binding)
    stays = index == binding.current
    connected_at = binding.connected_at if stays else now
    ladder = rules.ladder_s if index != 0 and returns_at_renewal(rules) else None
    delay = renewal_delay(event.expires, rules.policy.expires_overlap, ladder, rules.jitter())
    blocked = binding.blocked
    if index in blocked:
        blocked = {other: until for other, until in blocked.items() if other != index}
    bound = Binding(
        phase=Phase.BOUND,
        current=index,
        connected_at=connected_at,
        granted=float(event.expires),
        refusals=binding.refusals if index else 0,
        expires_at=now + event.expires,
        renew_at=now + delay,
        failback_at=binding.failback_at if stays else armed_failback(rules, index, now),
        blocked=blocked,
    )
    return bound, None


def _go_on(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    """The target asked is out of the question: the next one of the round."""
    phase = Phase.MOVING if binding.phase in HOLDING else Phase.SEEKING
    if binding.phase is Phase.RENEWING and event.kind is EventKind.BUSY:
        # It is alive and has dropped nothing; it only takes no renewal now.
        binding = _standing(binding)
    return _next(_tried(_block(binding, event.retry_after, now)), rules, phase, now)


def _refuse(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    """A refusal moves nothing by itself (D3); after dead servers it is one more of them."""
    index = _asked(binding)
    binding = _shun(binding, rules, now)
    if binding.tried:
        onward, wanted = _go_on(binding, Event(EventKind.REFUSED), rules, now)
        is_held_elsewhere = binding.phase is Phase.MOVING and binding.current not in onward.blocked
        if wanted is None and is_held_elsewhere:
            return _keep(binding, rules, now), None
        return onward, wanted
    retry_at = binding.blocked[index]
    return replace(binding, phase=Phase.REFUSED, current=None, trying=None, retry_at=retry_at), None


def _stay_unbound(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    """An error answer does not fail over (1.4): the same servers again after the back-off."""
    if binding.phase is Phase.MOVING and now < binding.renew_at:
        return _keep(_block(binding, event.retry_after, now), rules, now), None
    waiting = _wait(binding, rules, now)
    if event.retry_after is not None:
        waiting = replace(waiting, retry_at=max(waiting.retry_at, now + event.retry_after))
    return waiting, None


def _stay_bound(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    """The renewal met an error: again on the same server while the binding lasts.

    A pause that would outlast the binding means moving now rather than lapsing.
    """
    left = binding.expires_at - now
    if event.retry_after is not None and event.retry_after >= left:
        return _go_on(binding, event, rules, now)
    if left <= 0:
        return _stay_unbound(binding, event, rules, now)
    failures = binding.failures + 1
    delay = max(min(_retry_delay(rules, failures), left / 2), min(left, 1.0))
    if event.retry_after is not None:
        delay = max(delay, float(event.retry_after))
    return (
        replace(binding, phase=Phase.BOUND, trying=None, failures=failures, renew_at=now + delay),
        None,
    )


def _stay_away(binding: Binding, event: Event, rules: Rules, now: float) -> Step:
    """The primary did not take it back: stay, and rearm the same rule (1.5)."""
    if event.kind is EventKind.REFUSED:
        binding = _shun(binding, rules, now)
    else:
        binding = _block(binding, event.retry_after, now)
    binding = replace(_tried(binding), failback_at=armed_failback(rules, binding.current or 0, now))
    if now < binding.renew_at:
        return replace(binding, phase=Phase.BOUND, trying=None, tried=()), None
    if binding.blocked.get(binding.current or 0, now) > now:
        resting = replace(binding, phase=Phase.BOUND, trying=None)
        return _wait_out_or_leave(resting, event, rules, now)
    return _try(binding, rules, Phase.RENEWING, binding.current or 0, now)


_RESTING_ROW: Mapping[EventKind, Handler] = {
    EventKind.DUE: _start_round,
    EventKind.HOME: _come_home,
    EventKind.AWAY: _nothing_to_do,
    EventKind.LEAVE: _nothing_to_do,
    EventKind.BOUND: _impossible,
    EventKind.FOREIGN: _impossible,
    EventKind.REFUSED: _impossible,
    EventKind.BUSY: _impossible,
    EventKind.ERROR: _impossible,
    EventKind.LOST: _impossible,
}
_TRYING_ROW: Mapping[EventKind, Handler] = {
    EventKind.DUE: _nothing_to_do,
    EventKind.HOME: _come_home,
    EventKind.AWAY: _nothing_to_do,
    EventKind.LEAVE: _nothing_to_do,
    EventKind.BOUND: _bind,
    EventKind.FOREIGN: _impossible,
    EventKind.REFUSED: _refuse,
    EventKind.BUSY: _go_on,
    EventKind.ERROR: _stay_unbound,
    EventKind.LOST: _go_on,
}
_ROWS: Mapping[Phase, Mapping[EventKind, Handler]] = {
    Phase.IDLE: _RESTING_ROW,
    Phase.WAITING: _RESTING_ROW,
    Phase.REFUSED: _RESTING_ROW,
    Phase.HELD: _RESTING_ROW,
    Phase.BOUND: {
        **_RESTING_ROW,
        EventKind.DUE: _renew_or_return,
        EventKind.AWAY: _go_away,
        EventKind.LEAVE: _leave,
    },
    Phase.SEEKING: {**_TRYING_ROW, EventKind.FOREIGN: _hold_back},
    Phase.MOVING: {**_TRYING_ROW, EventKind.AWAY: _go_away},
    Phase.RENEWING: {**_TRYING_ROW, EventKind.AWAY: _go_away, EventKind.ERROR: _stay_bound},
    Phase.RETURNING: {
        **_TRYING_ROW,
        EventKind.AWAY: _go_away,
        EventKind.REFUSED: _stay_away,
        EventKind.BUSY: _stay_away,
        EventKind.ERROR: _stay_away,
        EventKind.LOST: _stay_away,
    },
}
TABLE: Mapping[tuple[Phase, EventKind], Handler] = {
    (phase, kind): handler for phase, row in _ROWS.items() for kind, handler in row.items()
}
"""Every pair has its handler; an answer nobody asked for is ImpossibleEvent."""
