"""Workers that are not heard: since when, by a real Redis."""

import pytest
import redis
from django.utils import timezone

from registrations import vitals
from registrations.alerts import parts
from registrations.incidents.facts import ProcessFact
from registrations.vitals.keys import LEFT


def silent() -> list[ProcessFact]:
    return [fact for fact in parts.silent_parts(timezone.now())[0] if fact.kind == "worker"]


def test_the_only_worker_is_missed_since_it_took_its_leave_and_not_since_redis_began(
    live_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a worker that is started anew would be an incident at once."""
    monkeypatch.setattr(parts, "YOUNG_S", -1.0)
    (never,) = silent()
    with redis.Redis.from_url(live_redis) as server:
        began = timezone.now().timestamp() - server.info()["uptime_in_seconds"]
    assert abs(never.since - began) < 3
    vitals.tell("worker", "worker-1")
    vitals.stop()
    assert silent() == []
    vitals.tell("beat", "beat@here")
    before = timezone.now().timestamp()
    vitals.farewell("worker", "worker-1")
    (left,) = silent()
    assert left.since >= before - 2
    with redis.Redis.from_url(live_redis) as server:
        server.hset(LEFT, "worker", int(before) + 50)
    (later,) = silent()
    assert abs(later.since - before - 50) < 2, "by that time, whenever Redis began"
