"""How a binding goes on after an edit: by the rule and to the primary that are now."""

from dataclasses import replace

import pytest

from registrations.binding import Binding, Phase, Rules
from registrations.judging import patience
from registrations.redundancy import due_at
from registrations.resuming import resumed
from registrations.values import FailBackMode, Policy

NOW = 10_000.0
AWAY = Binding(
    phase=Phase.BOUND,
    current=1,
    connected_at=NOW - 50,
    granted=3600,
    expires_at=NOW + 3550,
    renew_at=NOW + 3490,
)


def rules(mode: FailBackMode, timeout: int = 120) -> Rules:
    policy = Policy(fail_back_mode=mode, fail_back_timeout=timeout)
    return Rules(policy, (60, 60), patience(policy).give_up_after, lambda: 0.0)


def after(binding: Binding, by: Rules) -> Binding:
    return resumed(binding, by, NOW, was_refused_at_home=False)


def test_who_got_another_primary_goes_there_by_the_rule_that_counts_from_its_connection() -> None:
    by = rules(FailBackMode.DURATION)
    assert due_at(after(AWAY, by), by) == AWAY.connected_at + 120


def test_a_shorter_wait_counts_at_once_and_a_longer_one_does_not_start_anew() -> None:
    armed = replace(AWAY, failback_at=NOW + 3000)
    assert after(armed, rules(FailBackMode.DURATION)).failback_at == NOW + 120
    assert after(armed, rules(FailBackMode.DURATION, 7200)).failback_at == NOW + 3000


@pytest.mark.parametrize("mode", [FailBackMode.REGISTRATION, FailBackMode.NEW_REQUESTS])
def test_the_old_rules_time_is_forgotten_where_renewals_go_home(mode: FailBackMode) -> None:
    by = rules(mode)
    binding = after(replace(AWAY, failback_at=NOW + 10), by)
    assert binding.failback_at is None
    assert due_at(binding, by) == AWAY.renew_at


def test_who_is_home_stays_as_it_is() -> None:
    home = replace(AWAY, current=0)
    assert after(home, rules(FailBackMode.DURATION)) == home
