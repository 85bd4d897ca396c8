"""The census: counted once a minute as shown, kept, thinned; who was not counted is a gap."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from fleet.roles import Role
from registrations import census, queries
from registrations.models import Census, ServerChange, State
from registrations.tasks import take_census
from tests.registrations import live_fleet
from tests.support.rows import make_group, make_server_change, make_user

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)


def client(role: Role | None = Role.VIEWER) -> APIClient:
    made = APIClient()
    made.force_authenticate(make_user(f"a {role}", role))
    return made


def counted(at: datetime, **states: int) -> Census:
    return Census.objects.create(at=at, states=states)


def test_a_census_counts_what_the_summary_shows() -> None:
    fleet = live_fleet.make(3)
    live_fleet.move(fleet.rows[0], fleet.secondary)
    live_fleet.silence(fleet.primary, fleet.site)
    live_fleet.add(fleet, 4, state=State.UNREGISTERED, server=None)
    assert census.take(NOW)
    whole = Census.objects.get(group=None)
    assert whole.at == NOW.replace(second=0, microsecond=0)
    assert whole.states == {"primary_silent": 2, "secondary": 1, "unregistered": 1}
    ward = Census.objects.get(group=fleet.group)
    assert ward.states == whole.states
    assert ward.servers == {
        str(fleet.primary.pk): {"primary_silent": 2},
        str(fleet.secondary.pk): {"secondary": 1},
    }


def test_two_beats_in_one_minute_count_once() -> None:
    live_fleet.make(1)
    start = NOW.replace(second=1)
    assert census.take(start)
    assert not census.take(start + timedelta(seconds=50))
    assert Census.objects.count() == 2
    assert census.take(start + MINUTE)


def test_a_minute_costs_one_row_for_the_fleet_and_one_per_group_whatever_its_size() -> None:
    live_fleet.make(4, "one")
    live_fleet.make(4, "two", first=11)
    take_census()
    assert Census.objects.count() == 3


def test_an_empty_fleet_is_counted_too() -> None:
    assert census.take(NOW)
    assert Census.objects.get().states == {}


def test_minutes_nobody_counted_are_left_out_and_never_zero() -> None:
    start = NOW.replace(second=0, microsecond=0)
    counted(start - 5 * MINUTE, primary=4)
    counted(start - MINUTE, primary=3, unregistered=1)
    series = queries.census(start - 10 * MINUTE, start)
    assert series.at == [start - 5 * MINUTE, start - MINUTE]
    assert series.counts == {"primary": [4, 3], "unregistered": [0, 1]}
    assert series.step == MINUTE


def test_a_long_span_is_told_in_steps_of_ten_minutes() -> None:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    for minute in range(25):
        counted(start + minute * MINUTE, primary=minute)
    series = queries.census(start - timedelta(days=7), start + timedelta(hours=1))
    assert series.step == timedelta(minutes=10)
    assert series.counts == {"primary": [9, 19, 24]}


def test_three_days_are_kept_whole_then_one_row_in_ten_minutes_then_none() -> None:
    group = make_group()
    start = NOW.replace(minute=0, second=0, microsecond=0)
    for age in (timedelta(hours=2), timedelta(days=4), timedelta(days=91)):
        for minute in range(20):
            at = start - age + minute * MINUTE
            counted(at, primary=1)
            Census.objects.create(at=at, group=group, states={"primary": 1})
    census.thin(NOW)
    old = Census.objects.filter(at__lt=NOW - timedelta(days=3), group=None)
    assert [at.minute for at in old.values_list("at", flat=True)] == [0, 10]
    assert Census.objects.filter(group=None).count() == 22
    assert Census.objects.filter(group=group).count() == 22


def test_thinning_keeps_the_only_row_of_ten_minutes_wherever_it_stands() -> None:
    start = datetime(2026, 11, 20, 10, tzinfo=UTC)
    found = [start + n * MINUTE for n in (3, 7, 18, 20, 21)]
    assert census.surplus(found) == [found[1], found[4]]


def test_the_servers_history_is_let_go_with_the_census() -> None:
    server = make_group().servers.get(priority=1)
    for days in (91, 89):
        make_server_change(server, at=NOW - timedelta(days=days))
    census.thin(NOW)
    assert ServerChange.objects.get().at > NOW - census.KEPT_FOR


# ---- API --------------------------------------------------------------------------------------


def test_the_api_gives_the_census_of_fleet_group_and_server() -> None:
    fleet = live_fleet.make(3)
    live_fleet.move(fleet.rows[0], fleet.secondary)
    census.take(NOW)

    asker = client()

    def states(query: str = "") -> Any:
        answer = asker.get(f"/api/v1/census/{query}")
        assert answer.status_code == 200, answer.content
        return answer.json()["states"]

    assert states() == {"primary": [2], "secondary": [1]}
    assert states(f"?group={fleet.group.pk}") == states()
    assert states(f"?server={fleet.secondary.pk}") == {"secondary": [1]}
    later = (NOW + MINUTE).isoformat().replace("+", "%2B")
    assert states(f"?since={later}") == {}


@pytest.mark.parametrize(
    "query", ["?group=999", "?since=yesterday", "?since=2020-01-01T00:00:00Z", "?server=x"]
)
def test_the_api_refuses_a_census_it_cannot_give(query: str) -> None:
    assert client().get(f"/api/v1/census/{query}").status_code == 400


@pytest.mark.parametrize("path", ["census", "server-changes"])
def test_whoever_has_no_role_gets_neither_census_nor_server_history(path: str) -> None:
    assert client(None).get(f"/api/v1/{path}/").status_code == 403
    assert APIClient().get(f"/api/v1/{path}/").status_code in (401, 403)
