"""Schedules: redundancy.md's tables as rows of numbers."""

import pytest

from registrations.sip.timers import Schedule, ladder, rfc3261_schedule

RFC_SENDS = (0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)


def test_the_rfc_schedule_sends_eleven_times_and_times_out_at_32_s() -> None:
    assert rfc3261_schedule() == Schedule(RFC_SENDS, 32.0)


def test_retransmission_interval_doubles_up_to_t2() -> None:
    sends = rfc3261_schedule().sends
    gaps = [after - before for before, after in zip(sends, sends[1:], strict=False)]
    assert gaps == [0.5, 1, 2, *[4.0] * 7]


@pytest.mark.parametrize(
    ("count", "timeout_ms", "sends", "give_up_after"),
    [
        (3, 0, (0, 0.5, 1.5, 3.5), 7.5),
        (0, 0, (0, 0.5, 1.5, 3.5), 7.5),
        (1, 0, (0, 0.5), 1.5),
        (3, 500, (0, 0.5, 1.0, 1.5), 2.0),
        (0, 500, (0, 0.5, 1.0, 1.5), 2.0),
        (1, 2000, (0, 2.0), 4.0),
        (9, 0, RFC_SENDS[:10], 31.5),
        (10, 0, RFC_SENDS, 32.0),
        (20, 0, RFC_SENDS, 32.0),
    ],
)
def test_the_ladder_counts_retransmissions_and_gives_up_one_wait_after_the_last(
    count: int, timeout_ms: int, sends: tuple[float, ...], give_up_after: float
) -> None:
    assert ladder(count, timeout_ms) == Schedule(sends, give_up_after)


@pytest.mark.parametrize("count", range(21))
@pytest.mark.parametrize("timeout_ms", [0, 100, 500, 65_535])
def test_a_schedule_starts_at_once_rises_and_ends_after_its_last_send(
    count: int, timeout_ms: int
) -> None:
    schedule = ladder(count, timeout_ms)
    assert schedule.sends[0] == 0
    assert list(schedule.sends) == sorted(set(schedule.sends))
    assert schedule.give_up_after > schedule.sends[-1]
