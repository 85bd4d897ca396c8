"""The redundancy rules, walked in virtual time: every (phase, event) pair, then rule by rule."""

from copy import deepcopy
from dataclasses import replace
from itertools import product

import pytest

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
from registrations.intervals import back_off, renewal_delay
from registrations.redundancy import TABLE, ImpossibleEvent, due_at, is_last, step
from registrations.values import FailBackMode, Policy

NOW = 1_000_000.0
LADDER_S = 7.5
DUE, HOME = Event(EventKind.DUE), Event(EventKind.HOME)
LOST, REFUSED, ERROR = Event(EventKind.LOST), Event(EventKind.REFUSED), Event(EventKind.ERROR)
ANSWERS = {EventKind.BOUND, EventKind.REFUSED, EventKind.BUSY, EventKind.ERROR, EventKind.LOST}
IMPOSSIBLE = set(product(RESTING, ANSWERS)) | {
    (phase, EventKind.FOREIGN) for phase in Phase if phase is not Phase.SEEKING
}


def bound_for(seconds: int) -> Event:
    return Event(EventKind.BOUND, expires=seconds)


def rules(targets: int = 2, jitter: float = 0.0, **policy: object) -> Rules:
    return Rules(Policy(**policy), (None,) * targets, LADDER_S, lambda: jitter)  # type: ignore[arg-type]


def walk(binding: Binding, events: list[tuple[float, Event]], by: Rules) -> Binding:
    for at, event in events:
        binding, _ = step(binding, event, by, at)
    return binding


def on_secondary(by: Rules, expires: int = 3600) -> Binding:
    return walk(Binding(), [(NOW, DUE), (NOW, LOST), (NOW, bound_for(expires))], by)


def sample(phase: Phase) -> Binding:
    """A binding as it can be met in that phase, in a group of three."""
    trying = {Phase.SEEKING: 0, Phase.RENEWING: 1, Phase.RETURNING: 0, Phase.MOVING: 0}.get(phase)
    return Binding(
        phase=phase,
        current=1 if phase in HOLDING else None,
        trying=trying,
        tried=(1,) if phase is Phase.MOVING else (),
        connected_at=NOW - 50,
        granted=100.0,
        expires_at=NOW + 50,
        renew_at=NOW,
        retry_at=NOW,
    )


@pytest.mark.parametrize(("phase", "kind"), list(product(Phase, EventKind)))
def test_every_pair_of_phase_and_event_is_decided(phase: Phase, kind: EventKind) -> None:
    event = Event(kind, expires=60)
    if (phase, kind) in IMPOSSIBLE:
        with pytest.raises(ImpossibleEvent):
            step(sample(phase), event, rules(3), NOW)
        return
    after, wanted = step(sample(phase), event, rules(3), NOW)
    nothing_new = {EventKind.DUE, EventKind.LEAVE}
    if phase not in HOLDING:
        nothing_new.add(EventKind.AWAY)
    keeps_trying = phase not in RESTING and kind in nothing_new
    assert (after.phase not in RESTING) == (wanted is not None or keeps_trying)
    assert (after.trying is None) == (after.phase in RESTING)
    assert (after.current is not None) == (after.phase in HOLDING)
    assert (due_at(after, rules(3)) is None) == (after.phase not in RESTING)


def test_table_names_every_pair() -> None:
    assert set(TABLE) == set(product(Phase, EventKind))


@pytest.mark.parametrize(("phase", "kind"), sorted(set(TABLE) - IMPOSSIBLE))
def test_no_step_changes_the_binding_it_was_given(phase: Phase, kind: EventKind) -> None:
    """Nothing freezes one at run time."""
    binding = replace(sample(phase), blocked={2: NOW + 500})
    before = deepcopy(binding)
    step(binding, Event(kind, expires=60, retry_after=30), rules(3), NOW)
    step(binding, Event(kind, expires=60, retry_after=30), rules(3), NOW + 1000)
    assert binding == before


def test_boot_asks_the_first_target_only() -> None:
    after, wanted = step(Binding(), DUE, rules(3), NOW)
    assert (after.phase, wanted) == (Phase.SEEKING, Try(0, last=False))


def test_a_silent_first_target_leads_to_the_second_and_leaves_the_third_alone() -> None:
    by = rules(3)
    seeking = walk(Binding(), [(NOW, DUE)], by)
    moved, wanted = step(seeking, LOST, by, NOW + 7.5)
    assert wanted == Try(1, last=False)
    held, _ = step(moved, bound_for(3600), by, NOW + 8)
    assert (held.phase, held.current, held.connected_at) == (Phase.BOUND, 1, NOW + 8)


def test_the_last_target_of_a_round_gets_the_whole_rfc_time() -> None:
    by = rules(3)
    binding = walk(Binding(), [(NOW, DUE), (NOW, LOST)], by)
    _, wanted = step(binding, LOST, by, NOW)
    assert wanted == Try(2, last=True)


def test_a_single_target_is_the_last() -> None:
    assert is_last(Binding(), rules(1), 0, NOW)


def test_a_blocked_target_does_not_count_as_left() -> None:
    assert is_last(Binding(blocked={1: NOW + 5}), rules(2), 0, NOW)
    assert not is_last(Binding(blocked={1: NOW - 5}), rules(2), 0, NOW)


def test_all_silent_backs_off_between_half_and_whole_of_the_guides_minute() -> None:
    for jitter, wait in ((0.0, 30.0), (0.999999, 60.0)):
        by = rules(2, jitter)
        after = walk(Binding(), [(NOW, DUE), (NOW, LOST), (NOW, LOST)], by)
        assert after.phase is Phase.WAITING
        assert after.retry_at - NOW == pytest.approx(wait, abs=0.01)


def test_after_the_back_off_the_round_starts_at_the_top() -> None:
    by = rules(2)
    waiting = walk(Binding(), [(NOW, DUE), (NOW, LOST), (NOW, LOST)], by)
    _, wanted = step(waiting, DUE, by, waiting.retry_at)
    assert wanted == Try(0, last=False)


@pytest.mark.parametrize(
    ("granted", "overlap", "after"),
    [(3600, 60, 3540), (300, 5, 295), (30, 60, 15), (60, 60, 30), (7200, 60, 7140), (5, 60, 2.5)],
)
def test_renewal_table(granted: int, overlap: int, after: float) -> None:
    assert renewal_delay(granted, overlap, None, 0.0) == after


def test_renewals_drift_apart_by_a_tenth_of_the_grant() -> None:
    assert renewal_delay(3600, 60, None, 0.5) == 3540 - 180


def test_a_failback_try_starts_early_enough_for_a_failed_ladder_and_a_renewal() -> None:
    by = rules(2, expires_overlap=5)
    binding = on_secondary(by, 60)
    assert binding.renew_at + LADDER_S + 4 <= binding.expires_at


def test_registration_mode_tries_the_primary_when_the_renewal_starts() -> None:
    by = rules(2)
    binding = on_secondary(by)
    trying, wanted = step(binding, DUE, by, binding.renew_at)
    assert (trying.phase, wanted) == (Phase.RETURNING, Try(0, last=False))
    home, _ = step(trying, bound_for(3600), by, binding.renew_at + 1)
    assert (home.phase, home.current) == (Phase.BOUND, 0)


def test_a_failed_failback_try_renews_on_the_current_server() -> None:
    by = rules(2)
    binding = on_secondary(by)
    trying, _ = step(binding, DUE, by, binding.renew_at)
    renewing, wanted = step(trying, LOST, by, binding.renew_at + 7.5)
    assert renewing.phase is Phase.RENEWING
    assert wanted == Try(1, last=True)


def duration_rules(timeout: int = 60, targets: int = 2) -> Rules:
    return rules(targets, fail_back_mode=FailBackMode.DURATION, fail_back_timeout=timeout)


def test_duration_mode_counts_from_the_connection_and_renewals_do_not_restart_it() -> None:
    by = duration_rules(120)
    binding = on_secondary(by, 100)
    renewing, wanted = step(binding, DUE, by, NOW + 40)
    assert wanted == Try(1, last=False)
    renewed, _ = step(renewing, bound_for(100), by, NOW + 40)
    assert renewed.connected_at == NOW
    assert renewed.failback_at == NOW + 120


def test_duration_mode_tries_the_primary_after_its_timeout() -> None:
    by = duration_rules(60)
    binding = on_secondary(by)
    assert due_at(binding, by) == NOW + 60
    trying, wanted = step(binding, DUE, by, NOW + 60)
    assert (trying.phase, wanted) == (Phase.RETURNING, Try(0, last=False))
    stayed, _ = step(trying, LOST, by, NOW + 67.5)
    assert (stayed.phase, stayed.current) == (Phase.BOUND, 1)
    assert stayed.failback_at == NOW + 67.5 + 60


def test_duration_zero_never_goes_home_by_time() -> None:
    by = duration_rules(0)
    binding = on_secondary(by)
    assert due_at(binding, by) == binding.renew_at
    _, wanted = step(binding, DUE, by, binding.renew_at)
    assert wanted == Try(1, last=False)


def test_duration_zero_goes_home_when_the_current_server_fails_too() -> None:
    by = duration_rules(0)
    binding = on_secondary(by)
    renewing, _ = step(binding, DUE, by, binding.renew_at)
    _, wanted = step(renewing, LOST, by, binding.renew_at)
    assert wanted == Try(0, last=True)


def test_a_second_failover_restarts_the_duration() -> None:
    by = duration_rules(60, targets=3)
    binding = replace(on_secondary(by), failback_at=NOW + 9_999_999)
    events = [(binding.renew_at, e) for e in (DUE, LOST, LOST, bound_for(3600))]
    third = walk(binding, events, by)
    assert (third.current, third.failback_at) == (2, binding.renew_at + 60)


def test_a_failback_due_just_before_the_renewal_renews_first() -> None:
    by = duration_rules(60)
    binding = replace(on_secondary(by, 100), renew_at=NOW + 95, expires_at=NOW + 65)
    renewing, wanted = step(binding, DUE, by, NOW + 60)
    assert (renewing.phase, wanted) == (Phase.RENEWING, Try(1, last=False))
    renewed, _ = step(renewing, bound_for(100), by, NOW + 60)
    assert due_at(renewed, by) == NOW + 60


def test_a_failed_renewal_on_the_primary_moves_to_the_secondary() -> None:
    by = rules(2)
    binding = walk(Binding(), [(NOW, DUE), (NOW, bound_for(3600))], by)
    renewing, _ = step(binding, DUE, by, binding.renew_at)
    moving, wanted = step(renewing, LOST, by, binding.renew_at + 7.5)
    assert (moving.phase, moving.current, wanted) == (Phase.MOVING, 0, Try(1, last=True))


def test_a_refusal_at_boot_tries_no_other_server() -> None:
    after, wanted = step(walk(Binding(), [(NOW, DUE)], rules(2)), REFUSED, rules(2), NOW)
    assert (after.phase, wanted) == (Phase.REFUSED, None)
    assert 30 <= after.retry_at - NOW <= 60


def test_repeated_refusals_back_off_to_half_an_hour() -> None:
    by, binding, at = rules(2), Binding(), NOW
    waits = []
    for _ in range(9):
        binding = walk(binding, [(at, DUE), (at, REFUSED)], by)
        waits.append(binding.retry_at - at)
        at = binding.retry_at
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900, 900]


def test_a_primary_that_refuses_the_failback_leaves_the_secondarys_binding_alone() -> None:
    by = rules(2)
    binding = on_secondary(by)
    trying, _ = step(binding, HOME, by, NOW + 10)
    stayed, wanted = step(trying, REFUSED, by, NOW + 11)
    assert (stayed.phase, stayed.current, wanted) == (Phase.BOUND, 1, None)
    assert stayed.expires_at == binding.expires_at


def test_503_with_retry_after_uses_the_second_and_leaves_the_first_alone_for_that_long() -> None:
    by = duration_rules(60)
    seeking = walk(Binding(), [(NOW, DUE)], by)
    moved, wanted = step(seeking, Event(EventKind.BUSY, retry_after=120), by, NOW)
    assert wanted is not None and wanted.index == 1
    binding, _ = step(moved, bound_for(3600), by, NOW)
    assert due_at(binding, by) == NOW + 120


def test_an_error_answer_does_not_fail_over() -> None:
    by = rules(2)
    binding = walk(Binding(), [(NOW, DUE), (NOW, bound_for(3600))], by)
    renewing, _ = step(binding, DUE, by, binding.renew_at)
    stayed, wanted = step(renewing, ERROR, by, binding.renew_at)
    assert (stayed.phase, stayed.current, wanted) == (Phase.BOUND, 0, None)
    assert binding.renew_at < stayed.renew_at < binding.expires_at


def test_a_pause_that_would_outlast_the_binding_moves_now() -> None:
    by = rules(2)
    binding = walk(Binding(), [(NOW, DUE), (NOW, bound_for(3600))], by)
    renewing, _ = step(binding, DUE, by, binding.renew_at)
    _, wanted = step(renewing, Event(EventKind.ERROR, retry_after=500), by, binding.renew_at)
    assert wanted == Try(1, last=True)


def test_an_operators_wish_overrides_a_block() -> None:
    by = rules(2)
    binding = replace(on_secondary(by), blocked={0: NOW + 500})
    _, wanted = step(binding, HOME, by, NOW + 10)
    assert wanted == Try(0, last=False)


def test_an_operators_wish_on_an_unbound_line_starts_at_the_primary() -> None:
    waiting = Binding(phase=Phase.WAITING, retry_at=NOW + 50, blocked={0: NOW + 40})
    after, wanted = step(waiting, HOME, rules(2), NOW)
    assert (after.phase, wanted) == (Phase.SEEKING, Try(0, last=False))


def test_back_off_table_of_rfc_5626() -> None:
    assert [back_off(30, 1800, n, 0.0) * 2 for n in range(1, 8)] == [
        60, 120, 240, 480, 960, 1800, 1800,
    ]  # fmt: skip
