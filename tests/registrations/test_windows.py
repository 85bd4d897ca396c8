"""Hours of the week by a place's wall clock, also where the clock jumps."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrations.windows import Weekly, end_of, next_begin

DENVER = ZoneInfo("America/Denver")
WEEKDAYS = frozenset({1, 2, 3, 4, 5})
SHIFT_CHANGE = Weekly(WEEKDAYS, time(6, 45), time(7, 15))
NIGHT = Weekly(frozenset({6}), time(22), time(6))


def at(text: str, zone: ZoneInfo = DENVER) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("hours", "now", "end"),
    [
        (SHIFT_CHANGE, "2026-11-27 06:44:59", None),
        (SHIFT_CHANGE, "2026-11-27 06:45:00", "2026-11-27 07:15:00"),
        (SHIFT_CHANGE, "2026-11-27 07:14:59", "2026-11-27 07:15:00"),
        (SHIFT_CHANGE, "2026-11-27 07:15:00", None),
        (SHIFT_CHANGE, "2026-11-28 07:00:00", None),  # Saturday
        (NIGHT, "2026-11-28 23:00:00", "2026-11-29 06:00:00"),
        (NIGHT, "2026-11-29 05:00:00", "2026-11-29 06:00:00"),
        (NIGHT, "2026-11-28 05:00:00", None),
        # The night the clocks go back lasts an hour longer, the one they go forward one shorter.
        (NIGHT, "2026-10-31 22:00:00", "2026-11-01 06:00:00"),
        (NIGHT, "2026-03-07 23:59:00", "2026-03-08 06:00:00"),
    ],
)
def test_hours_are_on_from_their_begin_to_their_end(
    hours: Weekly, now: str, end: str | None
) -> None:
    assert end_of(hours, at(now), DENVER) == (None if end is None else at(end))


def test_hours_that_begin_and_end_alike_are_a_whole_day() -> None:
    day = Weekly(frozenset({1}), time(8), time(8))
    assert end_of(day, at("2026-11-24 07:59:00"), DENVER) == at("2026-11-24 08:00:00")
    assert end_of(day, at("2026-11-24 08:00:00"), DENVER) is None


def test_the_clock_is_the_places_own() -> None:
    now = datetime(2026, 11, 27, 14, 0, tzinfo=UTC).timestamp()
    assert end_of(SHIFT_CHANGE, now, DENVER) is not None
    assert end_of(SHIFT_CHANGE, now, ZoneInfo("Europe/Berlin")) is None


zones = st.sampled_from([DENVER, ZoneInfo("UTC"), ZoneInfo("Australia/Lord_Howe")])
weeks = st.builds(
    Weekly, st.frozensets(st.integers(1, 7), min_size=1), st.times(), st.times()
).filter(lambda hours: hours.begins.tzinfo is None)


@given(hours=weeks, zone=zones, now=st.floats(1.7e9, 1.9e9))
def test_hours_end_after_now_and_are_over_then_unless_the_next_have_begun(
    hours: Weekly, zone: ZoneInfo, now: float
) -> None:
    end = end_of(hours, now, zone)
    begin = next_begin(hours, now, zone)
    assert begin is not None and begin > now
    assert end_of(hours, begin, zone) is not None
    if end is not None:
        assert now < end <= now + 26 * 3600
        assert end_of(hours, end, zone) is None or len(hours.days) > 1 or end >= begin
