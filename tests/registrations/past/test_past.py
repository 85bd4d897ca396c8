"""Time travel: the fleet at an instant is what the changes up to then had made of it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.models import Line, ServerGroup
from registrations.models import Registration, State, Transition
from registrations.queries import past
from tests.support.rows import make_group, make_registration, make_transition

pytestmark = pytest.mark.usefixtures("database")

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def make(group: ServerGroup, **more: Any) -> Registration:
    """A line that was there long before START and is on its primary now."""
    row = make_registration(group, State.PRIMARY, **more)
    Line.objects.filter(pk=row.line_id).update(created_at=START - timedelta(days=9))
    return row


def moved(row: Registration, seconds: float, state: str, server: str = "") -> Transition:
    return make_transition(
        row, at=at(seconds), to_state=state, to_server=server, mac="00907a000009"
    )


def then(seconds: float) -> dict[int, tuple[str, str]]:
    rows = past.fleet_at(at(seconds), timezone.now())
    return {row["then_registration"]: (row["then_state"], row["then_server"]) for row in rows}


def test_a_line_was_where_its_last_change_had_brought_it() -> None:
    row = make(make_group())
    moved(row, 0, "primary", "A")
    moved(row, 60, "secondary", "B")
    assert then(0) == then(59.9) == {row.pk: ("primary", "A")}
    assert then(60) == then(3600) == {row.pk: ("secondary", "B")}
    [found] = past.fleet_at(at(61), timezone.now())
    assert (found["then_since"], found["then_cause"]) == (at(60), "failover")
    assert found["then_handset"] == row.line.handset_id


def test_before_its_first_change_nothing_was_known_of_it() -> None:
    row = make(make_group())
    moved(row, 60, "secondary", "B")
    assert then(59) == {row.pk: ("unknown", "")}


def test_a_line_without_any_change_stood_as_it_stands_since_it_came_there() -> None:
    row = make(make_group(), since=at(100))
    assert then(100) == {row.pk: ("primary", "127.0.0.2:5060")}
    assert then(99) == {row.pk: ("unknown", "")}


def test_a_line_made_later_was_not_there() -> None:
    row = make(make_group())
    Line.objects.filter(pk=row.line_id).update(created_at=at(10))
    assert then(9.9) == {}
    assert set(then(10)) == {row.pk}


def test_of_two_changes_in_one_instant_the_later_one_counts() -> None:
    row = make(make_group())
    moved(row, 0, "unregistered")
    moved(row, 0, "secondary", "B")
    assert then(0) == {row.pk: ("secondary", "B")}


def test_what_was_removed_since_is_there_under_its_copied_names() -> None:
    row = make(make_group())
    moved(row, 0, "secondary", "B")
    pk = row.pk
    row.line.handset.delete()
    assert then(60) == {pk: ("secondary", "B")}
    [found] = past.fleet_at(at(60), timezone.now())
    assert (found["then_mac"], found["then_handset"]) == ("00907a000009", None)
    assert list(past.fleet_at(timezone.now(), timezone.now())) == []
    assert sum(each["n"] for each in past.counts_at(at(60), timezone.now())) == 1


def test_a_line_of_which_nothing_is_heard_since_before_then_is_unknown_there_too() -> None:
    silent_since = timezone.now() - timedelta(hours=1)
    row = make(make_group(), due_at=silent_since)
    moved(row, 0, "primary", "A")
    instants = (silent_since - timedelta(seconds=1), silent_since + timedelta(seconds=1))
    states = [[r["then_state"] for r in past.fleet_at(i, timezone.now())] for i in instants]
    assert states == [["primary"], ["unknown"]]


def test_a_renamed_group_is_found_by_the_name_it_has_now() -> None:
    row = make(make_group("ward"))
    make_transition(row, at=at(0), group_name="ward as it was")
    [found] = past.fleet_at(at(60), timezone.now())
    assert found["then_group"] == "ward"


def test_the_fleet_is_counted_by_state_group_and_server() -> None:
    group = make_group()
    for server in "AAB":
        moved(make(group), 0, "secondary", server)
    counted = past.counts_at(at(60), timezone.now())
    assert {(c["then_state"], c["then_group"], c["then_server"], c["n"]) for c in counted} == {
        ("secondary", "ward", "A", 2),
        ("secondary", "ward", "B", 1),
    }


def test_between_two_instants_only_those_differ_who_stand_elsewhere() -> None:
    group = make_group()
    went, went_and_came, stayed, gone = (make(group) for _ in range(4))
    for row in (went, went_and_came, stayed, gone):
        moved(row, 0, "primary", "A")
    moved(went, 60, "secondary", "B")
    moved(went_and_came, 60, "secondary", "B")
    moved(went_and_came, 90, "primary", "A")
    pk = gone.pk
    gone.line.handset.delete()
    now = timezone.now()
    [found] = past.between(at(30), at(120), now)
    assert found.before is not None and found.after is not None
    assert found.before["then_registration"] == went.pk
    assert (found.before["then_state"], found.after["then_server"]) == ("primary", "B")
    removed = [d for d in past.between(at(120), now, now) if d.after is None]
    assert [d.before and d.before["then_registration"] for d in removed] == [pk]


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 40),
        st.sampled_from([("primary", "A"), ("secondary", "B"), ("unregistered", "")]),
    ),
    max_size=30,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS, snapshot=st.integers(-1, 41), later=st.integers(0, 42))
def test_replaying_the_changes_from_any_snapshot_gives_the_fleet_of_any_later_instant(
    steps: Sequence[tuple[int, int, tuple[str, str]]], snapshot: int, later: int
) -> None:
    Transition.objects.all().delete()
    rows = list(Registration.objects.order_by("pk"))
    if not rows:
        group = make_group()
        rows = [make(group) for _ in range(4)]
    # Written in the order given: the history may learn of a change late.
    for line, second, (state, server) in steps:
        moved(rows[line], second, state, server)
    replayed = then(snapshot)
    window = Transition.objects.filter(at__gt=at(snapshot), at__lte=at(snapshot + later))
    for change in window.order_by("at", "pk"):
        assert change.registration_id is not None
        replayed[change.registration_id] = (change.to_state, change.to_server)
    assert then(snapshot + later) == replayed
