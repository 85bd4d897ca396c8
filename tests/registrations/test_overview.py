"""The overview: the worst first, who moved, and the chart told in words."""

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from registrations import queries
from registrations.models import Census, State
from registrations.shown import chart, pages
from tests.registrations import live_fleet
from tests.registrations.test_views import signed_in, text
from tests.support.rows import make_group, make_registration, make_transition

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def group(
    name: str, silent: int = 0, sick: bool = False, stuck: int = 0, **states: int
) -> dict[str, Any]:
    servers = [{"condition": "silent" if n < silent else "up", "sick_since": None} for n in (0, 1)]
    if sick:
        servers[0]["sick_since"] = "2026-11-23T02:13:00.000Z"
    counts = queries.no_counts() | states
    return {"name": name, "states": counts, "servers": servers, "stuck": stuck}


def test_groups_come_the_worst_first_and_the_well_by_name() -> None:
    groups = [
        group("b well", primary=5),
        group("a well", primary=5),
        group("some away", secondary=2, primary=3),
        group("more away", fallback=3),
        group("a server silent", silent=1, primary=5),
        group("sent on by a silent server", silent=1, secondary=9),
        group("on a silent server", silent=1, primary_silent=5),
        group("refused", sick=True, primary=5),
        group("one rejected", rejected=1, primary=4),
        group("two stuck", stuck=2, primary=4),
        group("many unknown", unknown=4),
    ]
    assert [g["name"] for g in pages.groups_worst_first(groups)] == [
        "many unknown",
        "two stuck",
        "one rejected",
        "sent on by a silent server",
        "on a silent server",
        "a server silent",
        "refused",
        "more away",
        "some away",
        "a well",
        "b well",
    ]


def test_the_overview_shows_the_group_in_trouble_before_the_one_that_is_well() -> None:
    make_registration(make_group("a ward"), State.PRIMARY)
    make_registration(make_group("z ward"), State.UNREGISTERED)
    words = text(signed_in().get("/"))
    assert words.index("z ward") < words.index("a ward")


def test_who_moved_leads_to_exactly_those_in_the_history() -> None:
    fleet = live_fleet.make(3)
    for row in fleet.rows[:2]:
        live_fleet.move(row, fleet.secondary)
    make_transition(at=timezone.now(), from_server="127.0.0.9:5060")
    client = signed_in()
    page = client.get("/moves/")
    assert f"2 from {fleet.primary} to {fleet.secondary}" in text(page)
    link = re.findall(r'href="(/history/[^"]+)"', page.content.decode())[1].replace("&amp;", "&")
    assert parse_qs(urlsplit(link).query)["group"] == ["ward"]
    words = text(client.get(link))
    assert "4001" in words and "4002" in words
    assert "127.0.0.9" not in words


def test_nobody_moved_is_said() -> None:
    assert "Nobody has changed servers in the last hour." in text(signed_in().get("/"))


def test_only_who_may_look_hears_who_moved() -> None:
    assert signed_in(None).get("/moves/").status_code == 403
    assert Client().get("/moves/").status_code == 302


# ---- The chart in words -----------------------------------------------------------------------


def count(ago: timedelta, **states: int) -> datetime:
    at = timezone.now().replace(second=0, microsecond=0) - ago
    Census.objects.create(at=at, states=states)
    return at


def clock(at: datetime) -> str:
    return queries.clock(at, "UTC")


def test_a_chart_says_its_worst_moment_its_beginning_and_its_gaps() -> None:
    first = count(300 * MINUTE, primary=10)
    for minute in (299, 298, 200, 199):
        count(minute * MINUTE, primary=10)
    worst = count(198 * MINUTE, primary=6, secondary=3, unregistered=1)
    for minute in range(197, -1, -1):
        count(minute * MINUTE, primary=10)
    told = " ".join(chart.chart("24h", "UTC").told)
    assert f"Away from their primary: 4 at most, at {clock(worst)}." in told
    assert f"Without a server: 1 at most, at {clock(worst)}." in told
    assert f"Nothing was counted before {clock(first)}." in told
    assert f"Not counted: {clock(first + 3 * MINUTE)} to {clock(first + 100 * MINUTE)}." in told


def test_a_chart_nobody_counted_for_says_so() -> None:
    assert chart.chart("24h", "UTC").told[0].startswith("Nothing was counted")


def test_counting_that_stopped_is_told_with_its_age() -> None:
    count(90 * MINUTE, primary=1)
    assert "The last count is 1 h 30 min old." in chart.chart("24h", "UTC").told


def test_a_fleet_counted_for_minutes_only_shows_its_last_hour_until_asked_otherwise() -> None:
    count(2 * MINUTE, primary=1)
    assert chart.chart("", "UTC").span == "1h"
    assert chart.chart("24h", "UTC").span == "24h"
    count(120 * MINUTE, primary=1)
    assert chart.chart("", "UTC").span == "24h"
    assert chart.chart("nonsense", "UTC").span == "24h"


def test_the_table_has_the_last_count_of_each_hour_newest_first() -> None:
    for minute in range(0, 180, 5):
        count(minute * MINUTE, primary=minute)
    shown = chart.chart("24h", "UTC")
    assert [key for key, _ in shown.keys] == ["primary"]
    assert 3 <= len(shown.hours) <= 4
    assert shown.hours[0].counts == [0]
    assert shown.hours == sorted(shown.hours, key=lambda hour: hour.at, reverse=True)
