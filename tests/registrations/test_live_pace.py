"""How soon the hub looks again: ten times a second at most in the long run, and nobody waits."""

import math
import random

import pytest

from registrations.live.hub import ROWS_SECONDS, next_look


def looks(changes: list[float], late: float = 0.0) -> list[float]:
    """When a hub that notices each so late looks, for each change the time of the look after it."""
    due, started, found = 0.0, -math.inf, []
    for at in changes:
        if at > started:
            started = max(at, due) + late
            due = next_look(due, started)
        found.append(started)
    return found


@pytest.mark.parametrize("late", [0.0, 0.003])
def test_in_a_storm_it_looks_ten_times_a_second_however_late_each_begins(late: float) -> None:
    storm = [n / 1000 for n in range(10_000)]
    assert len(set(looks(storm, late))) == pytest.approx(10 / ROWS_SECONDS, abs=2)


def test_changes_as_often_as_looks_may_be_made_do_not_wait_though_their_time_varies() -> None:
    chance = random.Random(1)
    changes = [5 + n * ROWS_SECONDS + chance.uniform(0, 0.4) * ROWS_SECONDS for n in range(1000)]
    waits = [look - at for look, at in zip(looks(changes), changes, strict=True)]
    assert max(waits) < 1e-6


def test_after_a_rest_the_second_look_comes_half_an_interval_later_at_the_soonest() -> None:
    first, second, third = sorted(set(looks([60 + n / 1000 for n in range(140)])))
    assert first == 60
    assert second - first == pytest.approx(ROWS_SECONDS / 2, abs=0.002)
    assert third - second == pytest.approx(ROWS_SECONDS, abs=0.002)
