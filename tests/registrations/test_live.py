"""The live socket end to end: uvicorn, Redis, a websocket client, a database file."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import websockets
from channels.layers import get_channel_layer

from fleet.models import ApiToken
from registrations import consumers, live, queries
from registrations.live import hub, news, publisher
from registrations.models import Registration, State
from tests.registrations import live_fleet
from tests.registrations.live_web import Web, browser, channel_layers, in_database, publish
from tests.support import parts
from tests.support.processes import Child
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ALL = {"summary": True, "history": True}


def test_snapshot_and_deltas_amount_to_a_fresh_snapshot(web: Web, token: str) -> None:
    fleet = live_fleet.make(60)
    ids = [r.pk for r in fleet.rows]

    def storm() -> None:
        for start in range(0, 60, 5):
            batch = fleet.rows[start : start + 5]
            for registration in batch:
                live_fleet.move(registration, fleet.secondary)
            publish(*batch)
        fleet.rows[0].line.handset.delete()
        publish(fleet.rows[0])

    async def run() -> None:
        async with browser(web, token) as one, browser(web, token) as two:
            await one.watch(ids[:40], **ALL)
            await one.settled()
            one.kinds.clear()
            await in_database(storm)

            def arrived() -> bool:
                moved = [r for r in one.rows.values() if r["state"] == "secondary"]
                return (
                    len(moved) == 39
                    and (one.summary or {})["states"]["secondary"] == 59
                    and len(one.transitions) == 50
                )

            await one.until(arrived)
            assert "delta" in one.kinds
            await two.watch(ids[:40], **ALL)
            assert one.state() == two.state()
            assert ids[0] not in one.rows

    asyncio.run(run())


def test_a_row_is_told_as_the_query_shows_it_when_a_worker_says_that_it_changed(
    web: Web, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its message alone brings it: nobody looks without one here."""
    monkeypatch.setattr(hub, "REVIEW_SECONDS", 3600.0)
    fleet = live_fleet.make(2)
    watched, other = fleet.rows

    def change() -> None:
        live_fleet.move(watched, fleet.secondary)
        live_fleet.move(other, fleet.secondary)
        publish(watched, other)

    async def run() -> None:
        async with browser(web, token) as seen:
            await seen.watch([watched.pk])
            await seen.settled()
            await in_database(change)
            await seen.until(lambda: seen.rows[watched.pk]["state"] == "secondary", 30)
            assert list(seen.rows) == [watched.pk]
            shown = await in_database(queries.rows, [watched.pk], datetime.now(UTC))
            assert seen.rows[watched.pk] == shown[0]

    asyncio.run(run())


def test_a_gap_in_a_workers_numbers_leads_to_a_snapshot(web: Web, token: str) -> None:
    fleet = live_fleet.make(1)

    async def say(n: int) -> None:
        message = {"kind": "rows", "boot": "b", "n": n, "ids": [], "every": False}
        await get_channel_layer().group_send(publisher.GROUP, message)

    async def run() -> None:
        async with browser(web, token) as seen:
            await seen.watch([fleet.rows[0].pk], **ALL)
            await seen.settled()
            await say(1)
            await say(2)
            await seen.until(lambda: seen.kinds[-1] == "heartbeat")
            seen.kinds.clear()
            await say(4)
            await seen.until(lambda: "snapshot" in seen.kinds, 30)

    asyncio.run(run())


def test_contiguous_numbers_lead_to_no_snapshot(
    web: Web, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "SILENCE_SECONDS", 60.0)
    fleet = live_fleet.make(1)

    async def run() -> None:
        async with browser(web, token) as seen:
            await seen.watch([fleet.rows[0].pk], **ALL)
            await seen.settled()
            seen.kinds.clear()
            for _ in range(5):
                publish(fleet.rows[0])
                live.beat("worker-1")
                await asyncio.sleep(0.1)
            await seen.until(lambda: seen.kinds.count("heartbeat") == 2)
            assert "snapshot" not in seen.kinds

    asyncio.run(run())


def test_a_heartbeat_says_at_once_when_each_worker_was_heard_and_who_is_late(
    web: Web, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "HEARTBEAT_SECONDS", 3600.0)

    async def run() -> None:
        async with browser(web, token) as seen:
            await seen.watch([])
            await seen.settled()
            live.beat("worker-1", "main", 3)
            await seen.until(lambda: seen.heartbeat["workers"], 30)
            told = seen.heartbeat["workers"][0]
            assert (told["name"], told["site"], told["late"]) == ("worker-1", "main", False)
            assert seen.heartbeat["redis"] is True and seen.heartbeat["database"] is True
            await seen.until(lambda: seen.heartbeat["workers"][0]["late"], 30)
            assert seen.heartbeat["workers"][0]["heard_at"] == told["heard_at"]

    asyncio.run(run())


def test_a_worker_that_stops_in_order_is_not_waited_for(web: Web, token: str) -> None:
    async def run() -> None:
        async with browser(web, token) as seen:
            await seen.watch([])
            await seen.settled()
            live.beat("worker-1")
            live.beat("worker-2")
            await seen.until(lambda: seen.heartbeat["workers"], 30)
            live.leave("worker-1")
            live.beat("worker-2")
            await seen.until(
                lambda: [w["name"] for w in seen.heartbeat["workers"]] == ["worker-2"], 30
            )

    asyncio.run(run())


def test_what_a_newer_version_says_is_not_minded(web: Web, token: str) -> None:
    async def run() -> None:
        async with browser(web, token) as seen:
            await seen.watch([])
            await seen.settled()
            await get_channel_layer().group_send(
                publisher.GROUP, {"kind": "of tomorrow", "boot": "b", "n": 1}
            )
            live.beat("worker-1")
            await seen.until(lambda: seen.heartbeat["workers"], 30)

    asyncio.run(run())


def test_time_alone_makes_a_watched_row_unknown(web: Web, token: str) -> None:
    fleet = live_fleet.make(1)
    soon = datetime.now(UTC) + timedelta(seconds=1)
    Registration.objects.update(expires_at=soon)

    async def run() -> None:
        async with browser(web, token) as seen:
            await seen.watch([fleet.rows[0].pk], **ALL)
            await seen.until(lambda: seen.rows[fleet.rows[0].pk]["state"] == State.UNKNOWN, 30)
            await seen.until(lambda: (seen.summary or {})["states"]["unknown"] == 1, 30)

    asyncio.run(run())


def test_a_dead_redis_is_told_and_its_return_brings_a_snapshot(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token: str
) -> None:
    path = tmp_path / "r.sock"
    settings.REDIS_URL = f"unix://{path}?db=0"
    settings.CHANNEL_LAYERS = channel_layers(settings.REDIS_URL)
    monkeypatch.setattr(publisher, "_publisher", publisher.Publisher())
    command = [parts.need("redis"), "--port", "0", "--unixsocket", str(path), "--save", ""]

    def start() -> Child:
        child = Child("redis", command, tmp_path / "redis.log")
        wait_until(path.exists, 30, "Redis makes its socket", every=0.02)
        return child

    child = start()
    fleet = live_fleet.make(1)
    web = Web()
    web.start()

    async def run() -> None:
        nonlocal child
        async with browser(web, token) as seen:
            await seen.watch([fleet.rows[0].pk], **ALL)
            await seen.settled()
            child.kill()
            path.unlink(missing_ok=True)
            await seen.until(lambda: not seen.heartbeat["redis"], 30)

            def unheard() -> None:
                live_fleet.move(fleet.rows[0], fleet.secondary)

            await in_database(unheard)
            await seen.until(lambda: seen.rows[fleet.rows[0].pk]["state"] == "secondary", 30)
            seen.kinds.clear()
            child = start()
            await seen.until(lambda: "snapshot" in seen.kinds and seen.heartbeat["redis"], 30)
            # Who may look is asked again too: what was said of that meanwhile is lost.
            child.kill()
            path.unlink(missing_ok=True)
            await seen.until(lambda: not seen.heartbeat["redis"], 30)
            await in_database(ApiToken.objects.all().delete)
            child = start()
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await seen.until(lambda: False, consumers.RECHECK_SECONDS / 2)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401

    try:
        asyncio.run(run())
    finally:
        web.stop()
        child.kill()
