"""The page about Rollcall itself: who may see it, and that it tells no more than is known."""

import re
from typing import Any

import pytest
import redis
from django.test import Client
from django.urls import reverse

from fleet.roles import Role
from registrations import vitals
from registrations.models import Registration
from registrations.ops import figures, parts
from registrations.vitals import counters, sending
from registrations.vitals.keys import PROCESSES
from tests.registrations import live_fleet
from tests.support import rows

pytestmark = pytest.mark.django_db(transaction=True)

AT_WORK = {"site": "", "in_flight": 3, "room": 1997, "results_waiting": 1, "traces_waiting": 0}


@pytest.fixture(autouse=True)
def fresh() -> None:
    counters.take()


@pytest.fixture
def configurer(client: Client) -> Client:
    client.force_login(rows.make_user("vera", Role.CONFIGURER))
    return client


def page(client: Client) -> str:
    answer = client.get(reverse("ops"))
    assert answer.status_code == 200
    words = re.sub(r"<[^>]+>", " ", answer.content.decode().partition('id="ops"')[2])
    return re.sub(r"\s+", " ", words)


def all_are_there() -> None:
    vitals.tell("worker", "worker-1@here", **AT_WORK)
    vitals.tell("beat", "beat@here")
    vitals.tell("answerer", "answerer@here")
    vitals.stop()


def older(url: str, process: str, seconds: float) -> None:
    """Let what it said be that old."""
    with redis.Redis.from_url(url) as server:
        at, rest = server.hget(PROCESSES, process).decode().split("|", 1)
        server.hset(PROCESSES, process, f"{float(at) - seconds}|{rest}")


@pytest.mark.parametrize(
    ("role", "status"),
    [(None, 403), (Role.VIEWER, 403), (Role.OPERATOR, 403), (Role.CONFIGURER, 200)],
)
def test_configurers_see_it(client: Client, role: Role | None, status: int) -> None:
    assert client.get(reverse("ops")).status_code == 302, "the log-in"
    client.force_login(rows.make_user("somebody", role))
    assert client.get(reverse("ops")).status_code == status


def test_while_all_is_well_it_says_so(configurer: Client, live_redis: str) -> None:
    all_are_there()
    said = page(configurer)
    assert "All parts answer." in said and "Not heard" not in said and "Unknown" not in said
    assert "worker-1@here" in said and "3 of 2,000" in said


def test_a_silent_part_is_named_with_its_since_and_what_it_means(
    configurer: Client, live_redis: str
) -> None:
    all_are_there()
    older(live_redis, "worker|worker-1@here", 30)
    said = page(configurer)
    assert "Not heard: Workers." in said and "bindings run out" in said
    assert re.search(r"Not since ([\w ]+ )?\d\d:\d\d:\d\d", said), "the worker's own row"
    assert "3 of 2,000" not in said, "what it said before is not shown as now"


def test_a_worker_among_others_is_missed_for_an_hour(configurer: Client, live_redis: str) -> None:
    all_are_there()
    vitals.tell("worker", "worker-2@here", **AT_WORK)
    vitals.stop()
    older(live_redis, "worker|worker-1@here", 60)
    assert "All parts answer, but worker-1@here is missed." in page(configurer)
    older(live_redis, "worker|worker-1@here", 3600)
    said = page(configurer)
    assert "All parts answer." in said and "worker-1@here" not in said


def test_the_last_worker_of_a_site_is_missed_though_others_have_workers(live_redis: str) -> None:
    vitals.tell("worker", "worker-1@north", **(AT_WORK | {"site": "north"}))
    vitals.tell("worker", "worker-1@here", **AT_WORK)
    vitals.stop()
    older(live_redis, "worker|worker-1@north", 7200)
    assert [process.name for process in vitals.read().of("worker")] == [
        "worker-1@here",
        "worker-1@north",
    ]


def test_without_redis_what_it_knows_is_unknown_since_when(
    configurer: Client, live_redis: str, settings: Any
) -> None:
    fleet = live_fleet.make(2)
    Registration.objects.update(due_at=fleet.rows[0].since)
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    said = page(configurer)
    assert "Not heard: Redis." in said
    assert len(re.findall(r"Unknown since \d\d:\d\d:\d\d", said)) >= 6
    assert re.search(r"main 2 \d", said), "what the database knows is shown all the same"


def test_figures_are_sums_over_processes_and_odd_ones_stand_out(live_redis: str) -> None:
    for _ in range(2):
        counters.CLAIMS.add(1, n=300)
        counters.REGISTERS.add(7, n=30)
        for said, n in (("2xx", 25), ("timeout", 5)):
            counters.ANSWERS.add(7, said, n=n)
        for _ in range(20):
            counters.ROUND_TRIP.observe(0.02, 7)
        counters.FLUSH_ROWS.observe(10)
        counters.LEASES_LOST.add("its lease is over")
        vitals.stop()
    found = figures.of(vitals.read())
    rates = {figure.name: figure for figure in found.rates}
    claims = float(rates["Claims"].value.removesuffix(" a second"))
    assert claims == pytest.approx(600 / found.seconds, abs=0.6)
    assert rates["Answered"].value == "83.3 %" and rates["Answered"].is_odd
    assert rates["Answer took"].value == "≤ 25 ms" and not rates["Answer took"].is_odd
    assert rates["Results per write"].value == "10.0"
    assert rates["Write took"].value == "–", "none took place"
    mishaps = {figure.name: figure for figure in found.mishaps}
    assert mishaps["Leases lost"].value == "2" and mishaps["Leases lost"].is_odd
    assert mishaps["Writes that failed"].value == "0" and not mishaps["Writes that failed"].is_odd


def test_two_builds_beside_each_other_are_said(
    configurer: Client, live_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_are_there()
    monkeypatch.setattr(sending, "BUILD", "0ld0ld00")
    vitals.tell("worker", "worker-2@here", **AT_WORK)
    vitals.stop()
    said = page(configurer)
    assert "Workers of 2 builds run beside each other" in said and "0ld0ld00" in said


def test_names_are_listed_as_people_do() -> None:
    silent = [parts.Part(name, parts.SILENT, "", "") for name in ("Workers", "Beat", "Redis")]
    assert parts.verdict(silent, [])[1] == "Not heard: Workers, Beat and Redis."
