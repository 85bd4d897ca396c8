"""If a server died now: who would take its handsets, in how many REGISTERs, and when it is over."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registrations.landing import Horizon, Landing, Other, Rules, horizon, land

RULES = Rules(holds_all=False, rate=40.0, gives_up_s=7.5, told_after_s=None)
SECOND, THIRD = Other(2, False), Other(3, False)


def test_at_once_and_capped_it_takes_two_registers_each_at_the_cap() -> None:
    """The example of the requirement: 812 handsets at 40 REGISTERs a second."""
    found = land([SECOND], [(0.0, 812)], replace(RULES, told_after_s=10.0))
    assert found.registers == 1624
    assert found.at_cap_s == pytest.approx(40.6)
    assert found.first_s == pytest.approx(10.05)
    assert found.half_s == pytest.approx(10 + 406 * 0.05)
    assert found.last_s == pytest.approx(50.6)


def test_each_finds_out_at_its_renewal_and_waits_the_ladder() -> None:
    found = land([SECOND], [(5.0, 1), (100.0, 1), (3000.0, 1)], RULES)
    assert found.first_s == pytest.approx(12.55)
    assert found.half_s == pytest.approx(107.55)
    assert found.last_s == pytest.approx(3007.55)


def test_renewals_faster_than_the_cap_queue() -> None:
    found = land([SECOND], [(0.0, 100), (1.0, 100)], RULES)
    assert found.last_s == pytest.approx(7.5 + 200 * 0.05)


def test_an_overdue_renewal_is_now() -> None:
    assert land([SECOND], [(-30.0, 1)], RULES).first_s == pytest.approx(7.55)


def test_without_a_cap_nobody_waits() -> None:
    found = land([SECOND], [(0.0, 5000)], replace(RULES, rate=0.0))
    assert (found.at_cap_s, found.first_s, found.last_s) == (None, 7.5, 7.5)


def test_a_silent_server_is_asked_in_vain_first() -> None:
    found = land([Other(2, True), THIRD], [(0.0, 1)], RULES)
    assert (found.server_id, found.in_vain) == (3, (2,))
    assert found.first_s == pytest.approx(15.05)


@pytest.mark.parametrize("others", [[], [Other(2, True)]])
def test_where_no_other_server_answers_nobody_takes_them(others: list[Other]) -> None:
    found = land(others, [(0.0, 9)], RULES)
    assert found == Landing(9, None, tuple(o.server_id for o in others), 0, None, None, None, None)


def test_in_a_fallback_group_there_is_nothing_to_register() -> None:
    rules = replace(RULES, holds_all=True, gives_up_s=32.0)
    found = land([SECOND], [(0.0, 4), (60.0, 4)], rules)
    assert (found.registers, found.at_cap_s) == (0, None)
    assert (found.first_s, found.half_s, found.last_s) == (32.0, 32.0, 92.0)


def test_nobody_on_it_means_nothing_happens() -> None:
    found = land([SECOND], [], RULES)
    assert (found.handsets, found.registers, found.first_s, found.last_s) == (0, 0, None, None)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.floats(0, 3600), st.integers(1, 500)), min_size=1, max_size=20),
    st.floats(1, 500),
)
def test_the_order_of_the_first_the_half_and_the_last_always_holds(
    renewals: list[tuple[float, int]], rate: float
) -> None:
    found = land([SECOND], sorted(renewals), replace(RULES, rate=rate))
    assert found.first_s is not None and found.half_s is not None and found.last_s is not None
    assert found.first_s <= found.half_s <= found.last_s
    assert found.at_cap_s is not None and found.last_s >= found.at_cap_s


def test_the_horizon_is_when_the_first_the_half_and_the_last_binding_end() -> None:
    assert horizon([(30.0, 2), (10.0, 1), (20.0, 4), (90.0, 1)]) == Horizon(8, 10.0, 20.0, 90.0)
    assert horizon([(5.0, 1)]) == Horizon(1, 5.0, 5.0, 5.0)
    assert horizon([]) == Horizon()
