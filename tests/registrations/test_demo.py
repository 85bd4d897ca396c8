"""The demo: its fleet, and its registrars that the overview's panel stops and starts."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command

from fleet.models import Handset, Line, Server, ServerGroup
from registrations import demo, demo_fleet
from registrations.models import Registration
from tests.support.processes import free_port


@pytest.mark.django_db
def test_the_demo_is_two_hundred_handsets_in_a_failover_and_a_fallback_group() -> None:
    demo_fleet.make(5999)
    assert Handset.objects.count() == Registration.objects.count() == 200
    assert Counter(ServerGroup.objects.values_list("mode", flat=True)) == {
        "failover": 1,
        "fallback": 1,
    }
    assert demo_fleet.places() == [("127.0.0.2", 5999), ("127.0.0.3", 5999)]
    fallback = Server.objects.get(group__mode="fallback", priority=2)
    assert fallback.lost_features == ["voicemail", "presence"]
    assert Handset.objects.values("name", "site").distinct().count() == 200


@pytest.mark.django_db
def test_every_demo_line_has_a_password_of_its_own() -> None:
    demo_fleet.make(5999)
    passwords = set(Line.objects.values_list("auth_password", flat=True))
    assert len(passwords) == 200
    assert min(map(len, passwords)) >= 16


@pytest.mark.django_db
def test_a_fleet_that_is_there_gets_no_demo(capsys: pytest.CaptureFixture[str]) -> None:
    ServerGroup.objects.create(name="ours")
    call_command("demo", prepare=True)
    assert capsys.readouterr().out == ""
    assert not demo_fleet.is_here()
    assert demo.servers() == []


@pytest.fixture
def redis_there(redis_url: str, settings: Any) -> Iterator[None]:
    settings.REDIS_URL = redis_url
    demo._redis.cache_clear()
    yield
    demo._redis.cache_clear()


@pytest.mark.asyncio
@pytest.mark.django_db(transaction=True)
async def test_a_registrar_is_stopped_and_started_on_wish(redis_there: None) -> None:
    port = free_port(demo_fleet.PRIMARY)
    await sync_to_async(demo_fleet.make)(port)
    running = asyncio.create_task(demo.run([(demo_fleet.PRIMARY, port)]))
    try:
        first = await _until_first_is(running, True)
        assert (first.address, first.port) == (demo_fleet.PRIMARY, port)
        assert await sync_to_async(demo.stop)(str(first.id))
        assert not (await _first()).running
        assert await sync_to_async(demo.start)(first.id)
        assert (await _first()).running
        assert not await sync_to_async(demo.stop)("12345678"), "there is no such server"
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def _first() -> demo.DemoServer:
    return (await sync_to_async(demo.servers)())[0]


async def _until_first_is(running: "asyncio.Task[None]", wanted: bool) -> demo.DemoServer:
    async with asyncio.timeout(30):
        while (first := await _first()).running is not wanted:
            assert not running.done(), running.exception()
            await asyncio.sleep(0.05)
    return first
