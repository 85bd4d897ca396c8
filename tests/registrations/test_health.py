"""Alive, and ready to serve."""

from typing import Any

import pytest
import redis
from django.db import OperationalError, connection
from django.test import Client

from registrations import vitals

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("registrations.health")]


def readiness(client: Client) -> tuple[int, dict[str, Any]]:
    answer = client.get("/readyz")
    return answer.status_code, answer.json()


def test_who_does_the_work_and_who_says_when_are_looked_for(
    live_redis: str, client: Client
) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    status, parts = readiness(client)
    assert status == 503
    assert parts["redis"]["ok"] and not parts["workers"]["ok"] and not parts["beat"]["ok"]
    vitals.tell("worker", "worker-1")
    vitals.stop()
    status, parts = readiness(client)
    assert status == 503, "nobody says when"
    assert parts["workers"] == {"ok": True, "heard": ["worker-1"]}
    assert "nothing falls due" in parts["beat"]["why"]
    vitals.tell("beat", "beat@here")
    vitals.stop()
    status, parts = readiness(client)
    assert status == 200 and parts["status"] == "ready"
    assert parts["beat"] == {"ok": True, "heard": ["beat@here"]}


def test_who_was_not_heard_for_ten_seconds_is_not_believed_to_be_there(
    live_redis: str, client: Client
) -> None:
    vitals.tell("worker", "worker-1")
    vitals.tell("beat", "beat@here")
    vitals.stop()
    assert readiness(client)[0] == 200
    with redis.Redis.from_url(live_redis) as server:
        told = server.hget("rollcall:processes", "beat|beat@here").decode()
        at, rest = told.split("|", 1)
        server.hset("rollcall:processes", "beat|beat@here", f"{float(at) - 11}|{rest}")
    status, parts = readiness(client)
    assert status == 503 and parts["workers"]["ok"] and not parts["beat"]["ok"]


def test_who_takes_its_leave_is_not_there_any_more(live_redis: str, client: Client) -> None:
    vitals.tell("worker", "worker-1")
    vitals.stop()
    assert readiness(client)[1]["workers"]["ok"]
    vitals.tell("beat", "beat@here")
    vitals.farewell("worker", "worker-1")
    assert not readiness(client)[1]["workers"]["ok"]


def test_readiness_without_redis_is_no_error_page(client: Client, settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"]["ok"] and not answer.json()["redis"]["ok"]


def test_a_database_out_of_reach_is_not_ready(
    client: Client, live_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise OperationalError("no route to host 10.0.0.1")

    monkeypatch.setattr(connection, "cursor", broken)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] == {"ok": False, "why": "OperationalError"}
