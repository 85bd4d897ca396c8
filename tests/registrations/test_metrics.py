"""`/metrics`: what it has, what it costs, and who gets it."""

import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from fleet.models import Handset, Line
from fleet.roles import Role
from registrations import vitals
from registrations.models import Registration
from registrations.ops import metrics
from registrations.report import Moved
from registrations.store import Change, record
from registrations.vitals import counters, sending
from tests.registrations import live_fleet
from tests.support import rows

pytestmark = pytest.mark.django_db(transaction=True)

LOCAL = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1:8000"}
DOCS = Path(__file__).resolve().parents[2] / "docs"
HOUR = timedelta(hours=1)
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7", "HTTP_HOST": "localhost"}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A web process that has told nothing yet, and counts of nobody else's."""
    monkeypatch.setattr(metrics, "_metrics", metrics.Metrics())
    counters.take()


def read() -> dict[str, Any]:
    """The families by name; whatever the library's own reader does not understand fails."""
    text = metrics.Metrics().text().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(family: Any, **labels: str) -> list[float]:
    wanted = labels.items()
    return [sample.value for sample in family.samples if wanted <= sample.labels.items()]


def test_registrations_are_summed_by_group_server_role_and_state() -> None:
    fleet = live_fleet.make(5)
    live_fleet.move(fleet.rows[0], fleet.secondary)
    Registration.objects.filter(pk=fleet.rows[1].pk).update(state="rejected", server=None)
    live_fleet.silence(fleet.primary, fleet.site)
    found = read()
    held = found["rollcall_registrations"]
    primary = {"group": "ward", "server": str(fleet.primary), "role": "primary"}
    assert values(held, **primary, state="primary_silent") == [3]
    assert values(held, **primary, state="primary") == [0]
    assert values(held, server=str(fleet.secondary), role="secondary", state="secondary") == [1]
    assert values(held, server="", state="rejected") == [1]
    assert sum(values(held)) == 5
    condition = found["rollcall_server_condition"]
    assert values(condition, server=str(fleet.primary), condition="silent") == [1]
    assert values(condition, server=str(fleet.primary), condition="up") == [0]


def test_proofs_are_counted_by_server_and_what_they_prove() -> None:
    fleet = live_fleet.make(3)
    for row in fleet.rows:
        rows.make_proof(row, 2, "refused" if row == fleet.rows[0] else "proved")
    found = read()["rollcall_standby_proofs"]
    second = {"group": "ward", "server": str(fleet.secondary)}
    assert values(found, **second, proof="proved") == [2]
    assert values(found, **second, proof="refused") == [1]
    assert values(found, **second, proof="stale") == [0], "so that it can be seen to grow"


def test_two_thousand_handsets_have_as_many_series_as_three() -> None:
    def series() -> Counter[str]:
        return Counter({name: len(family.samples) for name, family in read().items()})

    fleet = live_fleet.make(3)
    few = series()
    handsets = Handset.objects.bulk_create(
        Handset(mac=f"00907b{n:06x}", group=fleet.group, site=fleet.site) for n in range(2000)
    )
    lines = Line.objects.bulk_create(
        Line(handset=handset, extension=f"X{n:05}") for n, handset in enumerate(handsets)
    )
    now = timezone.now()
    place = {"group": fleet.group, "site": fleet.site, "server": fleet.primary}
    Registration.objects.bulk_create(
        Registration(line=line, **place, state="primary", since=now, due_at=now + HOUR)
        for line in lines
    )
    assert series() == few
    text = metrics.Metrics().text().decode()
    assert "00907b" not in text and "X0" not in text
    assert sum(values(read()["rollcall_registrations"])) == 2003


def test_what_is_due_is_told_by_site() -> None:
    fleet = live_fleet.make(3)
    rows.make_site("branch")
    late = Registration.objects.filter(pk__in=[row.pk for row in fleet.rows[:2]])
    late.update(due_at=fleet.rows[0].since)
    found = read()
    assert values(found["rollcall_queue_due"], site="main") == [2]
    assert values(found["rollcall_queue_due"], site="branch") == [0]
    (lag,) = values(found["rollcall_queue_lag_seconds"], site="main")
    assert lag > 0
    assert values(found["rollcall_queue_lag_seconds"], site="branch") == [0]


def test_what_is_counted_is_a_sum_over_processes_that_outlives_them(live_redis: str) -> None:
    fleet = live_fleet.make(1)
    for _ in range(2):
        counters.REGISTERS.add(fleet.primary.pk)
        counters.ROUND_TRIP.observe(0.2, fleet.primary.pk)
        counters.REGISTERS.add(987654)  # A server that is no more.
        vitals.stop()  # The process ends; the next begins at zero.
    found = read()
    registers = found["rollcall_registers"]
    assert [(s.labels, s.value) for s in registers.samples] == [
        ({"group": "ward", "server": str(fleet.primary)}, 2.0)
    ]
    times = found["rollcall_register_round_trip_seconds"]
    assert values(times, le="0.1") == [0] and values(times, le="0.25") == [2]
    assert values(times, le="+Inf") == [2]


def flush_failures() -> list[float]:
    return values(read()["rollcall_flush_failures"])


def test_counts_wait_while_redis_takes_none(live_redis: str) -> None:
    with redis.Redis.from_url(live_redis) as server:
        server.config_set("maxmemory", 1)
        counters.FLUSH_FAILURES.add()
        sender = sending._sender
        assert sender is not None
        sender.send()
        assert flush_failures() == [0]
        counters.FLUSH_FAILURES.add()
        server.config_set("maxmemory", 0)
    vitals.stop()
    assert flush_failures() == [2]


def test_counts_that_redis_took_without_our_hearing_of_it_are_not_taken_twice(
    live_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters.FLUSH_FAILURES.add()
    sender = sending._sender
    assert sender is not None
    script = sender._script

    def unheard(**given: Any) -> None:
        script(**given)
        raise redis.TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(sender, "_script", unheard)
        sender.send()
    vitals.stop()
    assert flush_failures() == [1]


def test_changes_are_counted_by_cause_once_they_are_written(live_redis: str) -> None:
    fleet = live_fleet.make(1)
    moved = Moved(1.0, "primary", None, "secondary", None, "failover", None, "", None)
    record([Change(fleet.rows[0].pk, moved)])
    vitals.stop()
    assert values(read()["rollcall_transitions"], cause="failover") == [1]


def test_a_store_that_is_away_is_said_and_takes_nothing_else_with_it(
    live_redis: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_fleet.make(1)
    counters.FLUSH_FAILURES.add()
    vitals.stop()
    assert values(read()["rollcall_redis_up"]) == values(read()["rollcall_database_up"]) == [1]

    def broken() -> None:
        raise OperationalError("no route to host")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", broken)
        found = read()
        assert values(found["rollcall_database_up"]) == [0]
        assert values(found["rollcall_flush_failures"]) == [1]
        assert "rollcall_registrations" not in found
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    found = read()
    assert values(found["rollcall_redis_up"]) == [0]
    assert "rollcall_flush_failures" not in found and "rollcall_registrations" in found


def test_who_asks_again_within_a_second_costs_nothing(client: Client) -> None:
    live_fleet.make(1)
    assert client.get("/metrics", **LOCAL).status_code == 200
    with connection.execute_wrapper(_refuse):
        assert client.get("/metrics", **LOCAL).status_code == 200


def _refuse(*_: Any) -> None:
    raise AssertionError("the database was asked")


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "bearer"])
def test_a_viewers_token_opens_it_from_anywhere(client: Client, scheme: str) -> None:
    key = rows.make_token(rows.make_user("prometheus", Role.VIEWER))
    answer = client.get("/metrics", **ELSEWHERE, headers={"Authorization": f"{scheme} {key}"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "rollcall_database_up 1.0" in answer.content.decode()


@pytest.mark.parametrize(
    "credentials",
    ["Bearer", "Bearer wrong", "Basic YWRtaW46YWRtaW4=", "Bearer {nobody}", "Bearer {gone}"],
)
def test_no_other_credentials_open_it_not_even_here(client: Client, credentials: str) -> None:
    nobody = rows.make_token(rows.make_user("nobody"))
    user = rows.make_user("gone", Role.VIEWER)
    gone = rows.make_token(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    header = credentials.format(nobody=nobody, gone=gone)
    for where in (LOCAL, ELSEWHERE):
        answer = client.get("/metrics", **where, headers={"Authorization": header})
        assert answer.status_code == 401, where
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_session_alone_does_not_open_it_from_elsewhere(client: Client) -> None:
    client.force_login(User.objects.create_superuser("admin"))
    assert client.get("/metrics", **ELSEWHERE).status_code == 401


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000"])
def test_this_machine_needs_no_token(client: Client, address: str, host: str) -> None:
    answer = client.get("/metrics", REMOTE_ADDR=address, HTTP_HOST=host)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "proxied",
    [
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_X_FORWARDED_PROTO": "https"},
        {"HTTP_X_REAL_IP": "127.0.0.1"},
        {"HTTP_FORWARDED": "for=127.0.0.1"},
        {"HTTP_VIA": "1.1 proxy"},
        {"HTTP_HOST": "rollcall.hospital.example"},
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": ""},
    ],
)
def test_what_a_proxy_passes_on_is_not_from_this_machine(
    client: Client, settings: Any, proxied: dict[str, str]
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert client.get("/metrics", **(LOCAL | proxied)).status_code == 401


def test_behind_a_proxy_everybody_needs_a_token(client: Client, settings: Any) -> None:
    settings.BEHIND_TLS = True
    assert client.get("/metrics", **LOCAL).status_code == 401


def test_it_is_only_read(client: Client) -> None:
    assert client.post("/metrics", **LOCAL).status_code == 405


def test_every_metric_that_the_example_alerts_and_the_docs_name_exists(live_redis: str) -> None:
    live_fleet.make(1)
    known = {sample for family in read().values() for sample in _series(family)}
    rules = yaml.safe_load((DOCS / "alerts.yml").read_text())
    told = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in told}) == len(told) > 15
    for rule in told:
        assert rule["annotations"]["summary"] and rule["labels"]["severity"] in ("page", "ticket")
        named = set(re.findall(r"rollcall_\w+", rule["expr"]))
        assert named <= known, rule["alert"]
    described = re.findall(r"`(rollcall_\w+)`", (DOCS / "observability.md").read_text())
    assert len(described) > 20 and set(described) <= known


def _series(family: Any) -> set[str]:
    suffixes = {"counter": ["_total"], "histogram": ["", "_bucket", "_count", "_sum"]}
    return {family.name + suffix for suffix in suffixes.get(family.type, [""])}
