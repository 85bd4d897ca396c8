"""Reports: the shares of a period sum to it, and are what the history says."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.models import Line, ServerGroup
from registrations.models import Registration, State, Transition
from registrations.queries import reports
from tests.support.rows import make_group, make_registration, make_transition

pytestmark = pytest.mark.usefixtures("database")

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
HOUR = reports.Period(START, START + timedelta(hours=1))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def make(group: ServerGroup, **more: Any) -> Registration:
    row = make_registration(group, State.PRIMARY, **more)
    Line.objects.filter(pk=row.line_id).update(created_at=START - timedelta(days=9))
    return row


def path(row: Registration, *steps: tuple[float, str, str], **more: Any) -> None:
    """The changes of a line, each from where the one before had brought it."""
    state, server, made = "registering", "", []
    for second, new_state, new_server in steps:
        change = Transition(
            registration=row,
            at=at(second),
            cause="failover" if new_state == "secondary" else "failback",
            from_state=state,
            from_server=server,
            to_state=new_state,
            to_server=new_server,
        )
        for name, value in more.items():
            setattr(change, name, value)
        made.append(change)
        state, server = new_state, new_server
    Transition.objects.bulk_create(made)


def rows(cut: str, period: reports.Period = HOUR, **wanted: str) -> list[reports.Row]:
    return reports.report(cut, period, timezone.now(), **wanted)


def one(cut: str = "all", **wanted: str) -> reports.Row:
    [row] = rows(cut, **wanted)
    return row


def near(**seconds: float) -> Any:
    return pytest.approx({name: seconds.get(name, 0.0) for name in reports.SHARES}, abs=0.01)


def test_time_is_shared_among_the_states_a_line_was_in() -> None:
    path(
        make(make_group()),
        (-60, "primary", "A"),
        (600, "secondary", "B"),
        (900, "unregistered", ""),
        (1000, "primary", "A"),
    )
    assert one().seconds == near(primary=600 + 2600, secondary=300, none=100)
    assert one().share("primary") == pytest.approx(3200 / 3600, abs=1e-5)


def test_before_the_first_change_nothing_is_known_and_before_a_line_was_made_it_is_off() -> None:
    known_late = make(make_group())
    path(known_late, (600, "primary", "A"))
    assert one().seconds == near(unknown=600, primary=3000)
    made_late = make(make_group("lab"))
    Line.objects.filter(pk=made_late.line_id).update(created_at=at(1790))
    path(made_late, (1800, "primary", "A"))
    assert one(group="lab").seconds == near(off=1800, primary=1800)


def test_a_removed_line_is_off_from_then_on_and_stays_in_the_report() -> None:
    row = make(make_group(), since=at(-60))
    path(row, (-60, "primary", "A"))
    make_transition(
        row, at=at(900), from_server="A", to_state="disabled", to_server="", cause="removed"
    )
    Registration.objects.filter(pk=row.pk).delete()
    Transition.objects.filter(at__gt=HOUR.end).delete()
    assert one().seconds == near(primary=900, off=2700)


def test_a_line_of_which_nothing_is_heard_any_more_is_unknown_since_then() -> None:
    ended = timezone.now()
    row = make(make_group(), due_at=ended - timedelta(minutes=15))
    path(row, (-60, "primary", "127.0.0.2:5060"))
    period = reports.Period(ended - timedelta(hours=1), ended)
    [found] = rows("all", period)
    assert found.seconds["unknown"] == pytest.approx(900, abs=2)
    assert found.total == pytest.approx(3600, abs=0.01)


def test_failovers_and_recoveries_are_counted_and_measured() -> None:
    group = make_group()
    path(make(group), (-60, "primary", "A"), (600, "secondary", "B"), seconds=8.0)
    path(
        make(group),
        (-60, "primary", "A"),
        (600, "unregistered", ""),
        (650, "rejected", ""),
        (700, "primary", "A"),
        (800, "unregistered", ""),
    )
    found = one()
    assert (found.failovers, found.recoveries) == (1, 2)
    assert found.mean_recovery == pytest.approx((8 + 100) / 2, abs=0.01)
    assert found.worst_recovery == pytest.approx(100, abs=0.01)
    # The second one is not over: it lasts to the end and is no recovery.
    assert found.longest_outage == pytest.approx(2800, abs=0.01)


def test_an_outage_that_began_before_counts_from_the_periods_start() -> None:
    path(make(make_group()), (-600, "unregistered", ""), (300, "primary", "A"))
    assert one().longest_outage == pytest.approx(300, abs=0.01)
    assert one().recoveries == 1


def test_who_is_away_for_long_at_the_end_is_stuck() -> None:
    group = make_group()
    path(make(group), (-60, "primary", "A"), (-10, "secondary", "B"))
    path(make(group), (-60, "primary", "A"), (1800, "secondary", "B"))
    assert one().stuck == 1
    found = {row.key: row.stuck for row in rows("server")}
    assert found == {("A",): 0, ("B",): 1}


def test_a_report_is_cut_by_handset_group_site_and_server() -> None:
    first, second = make(make_group("ward")), make(make_group("lab"))
    path(first, (-60, "primary", "A"), (600, "secondary", "B"))
    path(second, (-60, "primary", "C"))
    assert {row.key: row.total for row in rows("group")} == pytest.approx(
        {("ward",): 3600, ("lab",): 3600}, abs=0.01
    )
    assert {row.key for row in rows("site")} == {("main",)}
    by_server = {row.key[0]: row.seconds for row in rows("server")}
    assert by_server["A"] == near(primary=600)
    assert by_server["B"] == near(secondary=3000)
    [row] = rows("handset", mac=second.line.handset.mac)
    assert row.key[:2] == (second.pk, second.line.handset.mac)


def test_the_rows_of_a_report_together_are_the_report_of_all() -> None:
    steps = ((-60, "primary", "A"), (60, "unregistered", ""), (90, "primary", "A"))
    for name in ("ward", "lab"):
        path(make(make_group(name)), *steps)
    together, everything = reports.whole(rows("group")), one()
    assert together.seconds == pytest.approx(everything.seconds, abs=0.01)
    assert together.mean_recovery == pytest.approx(everything.mean_recovery, abs=0.01)
    assert (together.recoveries, together.failovers, together.stuck) == (2, 0, 0)


def test_a_handset_that_moved_to_another_group_counts_whole_where_it_is() -> None:
    row = make(make_group("ward"))
    path(row, (-60, "primary", "A"), (600, "secondary", "B"), group_name="as it was")
    assert [found.key for found in rows("group")] == [("ward",)]
    assert one().total == pytest.approx(3600, abs=0.01)


STATES = [("primary", "A"), ("secondary", "B"), ("unregistered", ""), ("rejected", "")]
STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-10, 70), st.sampled_from(STATES)), max_size=25
)


def naively(steps: Sequence[tuple[int, str]], start: int, end: int) -> tuple[dict[str, int], int]:
    """Walk through a line's changes second by second; and the longest run registered nowhere."""
    seconds, run, longest = dict.fromkeys(reports.SHARES, 0), 0, 0
    for second in range(start, end):
        state = "unknown"
        for at_second, to in steps:
            state = to if at_second <= second else state
        share = "none" if state in ("unregistered", "rejected") else state
        seconds[share] += 1
        run = run + 1 if share == "none" else 0
        longest = max(longest, run)
    return seconds, longest


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, start=st.integers(0, 30), length=st.integers(1, 35))
def test_the_shares_of_each_line_sum_to_the_period_and_are_what_a_walk_finds(
    steps: Sequence[tuple[int, int, tuple[str, str]]], start: int, length: int
) -> None:
    Transition.objects.all().delete()
    lines = list(Registration.objects.order_by("pk"))
    if not lines:
        group = make_group()
        lines = [make(group) for _ in range(3)]
    walks: list[list[tuple[int, str]]] = []
    for number, row in enumerate(lines):
        mine = sorted(
            ((second, place) for line, second, place in steps if line == number),
            key=lambda step: step[0],
        )
        path(row, *((second, *place) for second, place in mine))
        walks.append([(second, place[0]) for second, place in mine])
    period = reports.Period(at(start), at(start + length))
    found = {row.key[0]: row for row in rows("handset", period)}
    for row, walk in zip(lines, walks, strict=True):
        expected, longest = naively(walk, start, start + length)
        assert found[row.pk].total == pytest.approx(length, abs=0.01)
        assert found[row.pk].seconds == pytest.approx(expected, abs=0.01)
        assert (found[row.pk].longest_outage or 0) == pytest.approx(longest, abs=0.01)
    assert sum(r.total for r in rows("server", period)) == pytest.approx(3 * length, abs=0.05)
