"""How much one user may ask of the API, and what is said to who asks more."""

from collections.abc import Iterator

import pytest
import redis
import time_machine
from django.core.cache import cache
from rest_framework.test import APIClient

from fleet import throttling
from fleet.roles import Role
from tests.support.rows import make_site, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[time_machine.Traveller]:
    """The first second of a minute; three readings and two changes are permitted in each."""
    monkeypatch.setattr(throttling, "READS", 3)
    monkeypatch.setattr(throttling, "WRITES", 2)
    cache.clear()
    with time_machine.travel("2027-01-01T12:00:01Z", tick=False) as traveller:
        yield traveller
    cache.clear()


def client_of(name: str) -> APIClient:
    client = APIClient()
    client.force_authenticate(make_user(name, Role.CONFIGURER))
    return client


def test_who_asks_too_much_waits_for_the_next_minute_and_nobody_else_does(
    clock: time_machine.Traveller,
) -> None:
    eager, calm = client_of("eager"), client_of("calm")
    url = "/api/v1/sites/"
    assert [eager.get(url).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = eager.get(url)
    assert refused.headers["Retry-After"] == "59"
    assert calm.get(url).status_code == 200
    clock.shift(59)
    assert eager.get(url).status_code == 200


def test_changes_are_counted_apart(clock: time_machine.Traveller) -> None:
    eager = client_of("eager")
    url = f"/api/v1/sites/{make_site().pk}/"
    change = {"time_zone": "UTC"}
    codes = [eager.patch(url, change, format="json").status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert eager.get(url).status_code == 200


def test_the_api_answers_while_redis_does_not(
    clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(throttling, "READS", 0)
    eager = client_of("eager")
    assert eager.get("/api/v1/sites/").status_code == 429
    monkeypatch.setattr(throttling.cache, "add", gone)
    assert eager.get("/api/v1/sites/").status_code == 200
