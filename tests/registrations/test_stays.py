"""The chart of which server held a line: every second in a lane, nothing made up, told in words."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.models import Server
from registrations.models import State
from registrations.queries.spans import Change, Span, tile
from registrations.shown.stays import DAY, FINEST, PERIODS, Chart, Lane, chart

START = datetime(2026, 3, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SERVERS = [
    Server(pk=1, name="PBX A", priority=1),
    Server(pk=2, name="PBX B", priority=2),
    Server(pk=3, name="PBX C", priority=3, register=False),
]


def drawn(*changes: Change, period: str = "24h", unknown_since: datetime | None = None) -> Chart:
    asked = PERIODS[period]
    tiled = tile(changes, START, START + asked.length, unknown_since)
    return chart(tiled, SERVERS, asked, "Europe/Berlin")


def on(hours: float, server: str = "PBX A", **more: str) -> Change:
    state = {"PBX A": "primary", "": "unregistered"}.get(server, "secondary")
    return Change(START + hours * HOUR, state, server, **more)


def lane(found: Chart, name: str) -> Lane:
    return next(one for one in found.lanes if one.name == name)


def test_there_is_a_lane_for_each_server_that_registers_one_for_none_and_one_for_unknown() -> None:
    found = drawn(on(-1))
    assert [(one.name, one.rank) for one in found.lanes] == [
        ("PBX A", 1),
        ("PBX B", 2),
        ("No server", None),
        ("Unknown", None),
    ]


def test_a_stay_is_where_it_was_as_long_as_it_was_and_says_why() -> None:
    found = drawn(on(-1), on(6, "PBX B", cause="failover", reason="PBX A did not answer."))
    [stay] = lane(found, "PBX B").pieces
    assert (stay.x, stay.width, stay.state) == ("25.000%", "75.000%", "secondary")
    assert stay.words == (
        "On secondary, PBX B, 28 Mar 19:00:00 to now (18 h 00 min). Failover. PBX A did not answer."
    )
    assert (lane(found, "PBX A").share, lane(found, "PBX B").share) == ("25.0 %", "75.0 %")
    assert lane(found, "PBX B").lasted == "18 h 00 min"
    assert found.changes == 1


def test_what_is_not_recorded_is_blank_and_no_state() -> None:
    found = drawn(on(12))
    [blank] = lane(found, "Unknown").pieces
    assert (blank.kind, blank.width) == ("blank", "50.000%")
    assert blank.words.startswith("Not recorded, 28 Mar 13:00:00 to 29 Mar 01:00:00 (12 h")
    assert lane(found, "Unknown").note == "12 h 00 min before its first record"


def test_what_is_unknown_now_is_drawn_as_unknown() -> None:
    found = drawn(on(-1), unknown_since=START + 23 * HOUR)
    [gap] = lane(found, "Unknown").pieces
    assert (gap.kind, gap.state, gap.width) == ("", "unknown", "4.167%")
    assert gap.words.endswith("Nothing was heard of it from then on.")


def test_a_server_that_left_the_group_keeps_its_lane() -> None:
    assert lane(drawn(on(-1, "PBX Old")), "PBX Old").note == "not of its group now"


def test_stays_too_short_to_be_seen_are_drawn_together_and_counted() -> None:
    flap = [on(6 + n / 3600, "PBX B" if n % 2 else "PBX A") for n in range(60)]
    found = drawn(on(-1), *flap, on(7))
    for name in ("PBX A", "PBX B"):
        many = [piece for piece in lane(found, name).pieces if piece.kind == "many"]
        assert many and " changes, " in many[0].words and " in all." in many[0].words


def test_ticks_stand_at_full_local_hours_and_days_across_daylight_saving() -> None:
    words = [tick.word for tick in drawn(on(-1)).ticks]
    assert words == ["16:00", "20:00", "00:00", "04:00", "08:00", "12:00"]
    days = drawn(on(-1), period="7d").ticks
    assert [tick.word for tick in days] == [
        *("Sun 29", "Mon 30", "Tue 31", "Wed 1", "Thu 2", "Fri 3", "Sat 4")
    ]
    assert days[1].x == f"{100 * (34 / 168):.3f}%", "the day the clock went on had 23 hours"


@given(
    st.lists(
        st.builds(
            Change,
            st.integers(-1000, 90_000).map(lambda s: START + timedelta(seconds=s)),
            st.sampled_from(State.values),
            st.sampled_from(["PBX A", "PBX B", "PBX Old"]),
        ),
        max_size=60,
    )
)
def test_lanes_hold_every_second_once_and_every_piece_is_inside(changes: list[Change]) -> None:
    tiled: list[Span] = tile(changes, START, START + DAY)
    found = chart(tiled, SERVERS, PERIODS["24h"], "UTC")
    assert sum((one.held for one in found.lanes), timedelta()) == DAY
    pieces = [piece for one in found.lanes for piece in one.pieces]
    assert sorted(piece.order for piece in pieces) == list(range(found.pieces))
    assert len(pieces) <= FINEST * len(found.lanes)
    for piece in pieces:
        x, width = (Decimal(value.rstrip("%")) for value in (piece.x, piece.width))
        assert 0 <= x <= 100 and width >= 0 and x + width <= Decimal("100.002")


@pytest.mark.parametrize(("part", "share"), [(0.5, "< 0.1 %"), (86399.5, "> 99.9 %")])
def test_a_little_is_never_called_nothing(part: float, share: str) -> None:
    found = drawn(Change(START + timedelta(seconds=part), "secondary", "PBX B"), on(-1))
    assert lane(found, "PBX A").share == share
