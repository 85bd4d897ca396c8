"""Alive, and ready to serve."""

import time
from typing import Any

import pytest
import redis
from django.db import OperationalError, connection
from django.test import Client

from registrations import live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("registrations.health")]


def test_a_worker_that_beats_is_found_by_readiness(live_redis: str, client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    before = client.get("/readyz")
    assert before.status_code == 503
    assert before.json()["redis"]["ok"] and not before.json()["workers"]["ok"]
    live.beat("worker-1")
    deadline = time.monotonic() + 5
    while (answer := client.get("/readyz")).status_code != 200:
        assert time.monotonic() < deadline, answer.json()
        time.sleep(0.02)
    assert answer.json()["workers"]["heard"] == ["worker-1"]
    with redis.Redis.from_url(live_redis) as server:
        assert 0 < server.ttl("rollcall:worker:worker-1") <= 10


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
