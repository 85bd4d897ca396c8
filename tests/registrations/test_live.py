"""The live socket end to end: uvicorn, Redis, a websocket client, a database file."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import uvicorn
import websockets
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.authtoken.models import Token

from registrations import consumers, live, queries
from registrations.live import publisher
from registrations.models import Registration, State
from registrations.routing import websocket_urlpatterns
from tests.registrations import live_fleet
from tests.support import stores
from tests.support.processes import free_port

pytestmark = pytest.mark.django_db(transaction=True)

ALL = {"summary": True, "history": True}


class Web:
    """A web process's ASGI server in a thread."""

    def __init__(self) -> None:
        application = ProtocolTypeRouter({"websocket": URLRouter(websocket_urlpatterns)})
        self.port = free_port()
        config = uvicorn.Config(
            application,
            host="127.0.0.1",
            port=self.port,
            lifespan="off",
            log_config=None,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def start(self) -> None:
        self.thread.start()
        deadline = time.monotonic() + 10
        while not self.server.started:
            assert time.monotonic() < deadline, "uvicorn did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def redis_server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Redis of this test's own, and a process that has never spoken to it."""
    with stores.redis() as url:
        settings.REDIS_URL = url
        settings.CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
                "CONFIG": {"hosts": [{"address": url, "socket_timeout": None}]},
            }
        }
        monkeypatch.setattr(publisher, "_publisher", publisher.Publisher())
        yield url


@pytest.fixture
def web(redis_server: str) -> Iterator[Web]:
    web = Web()
    web.start()
    yield web
    web.stop()


@pytest.fixture
def token() -> str:
    user = User.objects.create_superuser("admin")
    return str(Token.objects.create(user=user).key)


class Browser:
    """What live.js does: keeps the state, checks the sequence."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.seq = 0
        self.rows: dict[int, dict[str, Any]] = {}
        self.summary: dict[str, Any] | None = None
        self.transitions: dict[int, dict[str, Any]] = {}
        self.heartbeat: dict[str, Any] = {}
        self.kinds: list[str] = []

    async def watch(self, rows: list[int], **flags: bool) -> None:
        await self.connection.send(json.dumps({"watch": {"rows": rows, **flags}}))
        await self.until(lambda: "snapshot" in self.kinds)

    async def take(self) -> str:
        message = json.loads(await self.connection.recv())
        assert message["seq"] == self.seq + 1
        self.seq = message["seq"]
        kind = str(message["type"])
        self.kinds.append(kind)
        if kind == "heartbeat":
            self.heartbeat = message
            return kind
        if kind == "snapshot":
            self.rows, self.transitions = {}, {}
        self.rows.update((row["id"], row) for row in message["rows"])
        for gone in message.get("gone", []):
            self.rows.pop(gone, None)
        self.summary = message.get("summary", self.summary)
        self.transitions.update((t["id"], t) for t in message.get("transitions", []))
        newest = sorted(self.transitions.values(), key=lambda t: (t["at"], t["id"]))[-50:]
        self.transitions = {t["id"]: t for t in newest}
        return kind

    async def until(self, condition: Callable[[], Any], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await self.take()

    async def settled(self) -> None:
        """Return when the hub's first snapshots are over: it has heard Redis and this socket."""
        self.kinds.clear()
        await self.until(lambda: "snapshot" in self.kinds)

    def state(self) -> tuple[Any, ...]:
        summary = {k: v for k, v in (self.summary or {}).items() if k != "as_of"}
        return self.rows, summary, self.transitions


@asynccontextmanager
async def browser(web: Web, token: str, **headers: str) -> AsyncIterator[Browser]:
    given = {"Authorization": f"Token {token}"} if token else {}
    uri = f"ws://127.0.0.1:{web.port}/ws/live/"
    async with websockets.connect(uri, additional_headers=given | headers) as connection:
        yield Browser(connection)


def publish(*registrations: Registration) -> None:
    live.publish([{"id": r.pk} for r in registrations])


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
            await sync_to_async(storm, thread_sensitive=False)()

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


def test_a_row_is_told_as_the_query_shows_it_within_a_second(web: Web, token: str) -> None:
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
            await sync_to_async(change, thread_sensitive=False)()
            await seen.until(lambda: seen.rows[watched.pk]["state"] == "secondary", 1)
            assert list(seen.rows) == [watched.pk]
            shown = await sync_to_async(queries.rows, thread_sensitive=False)(
                [watched.pk], datetime.now(UTC)
            )
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
            await seen.until(lambda: "snapshot" in seen.kinds, 1)

    asyncio.run(run())


def test_contiguous_numbers_lead_to_no_snapshot(web: Web, token: str) -> None:
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


def test_the_heartbeat_says_when_each_worker_was_heard_and_who_is_late(
    web: Web, token: str
) -> None:
    async def run() -> None:
        async with browser(web, token) as seen:
            await seen.watch([])
            await seen.settled()
            live.beat("worker-1", "main", 3)
            await seen.until(lambda: seen.heartbeat["workers"], 1)
            told = seen.heartbeat["workers"][0]
            assert (told["name"], told["site"], told["late"]) == ("worker-1", "main", False)
            assert seen.heartbeat["redis"] is True and seen.heartbeat["database"] is True
            await seen.until(lambda: seen.heartbeat["workers"][0]["late"], 8)
            assert seen.heartbeat["workers"][0]["heard_at"] == told["heard_at"]

    asyncio.run(run())


def test_time_alone_makes_a_watched_row_unknown(web: Web, token: str) -> None:
    fleet = live_fleet.make(1)
    soon = datetime.now(UTC) + timedelta(seconds=1)
    Registration.objects.update(expires_at=soon)

    async def run() -> None:
        async with browser(web, token) as seen:
            await seen.watch([fleet.rows[0].pk], **ALL)
            await seen.until(lambda: seen.rows[fleet.rows[0].pk]["state"] == State.UNKNOWN, 6)
            await seen.until(lambda: (seen.summary or {})["states"]["unknown"] == 1, 3)

    asyncio.run(run())


def test_a_dead_redis_is_told_and_its_return_brings_a_snapshot(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token: str
) -> None:
    from tests.support import parts
    from tests.support.processes import Child
    from tests.support.waiting import wait_until

    path = tmp_path / "r.sock"
    settings.REDIS_URL = f"unix://{path}?db=0"
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [{"address": settings.REDIS_URL, "socket_timeout": None}]},
        }
    }
    monkeypatch.setattr(publisher, "_publisher", publisher.Publisher())
    command = [parts.need("redis"), "--port", "0", "--unixsocket", str(path), "--save", ""]

    def start() -> Child:
        child = Child("redis", command, tmp_path / "redis.log")
        wait_until(path.exists, 10, "Redis makes its socket", every=0.02)
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
            await seen.until(lambda: not seen.heartbeat["redis"], 6)

            def unheard() -> None:
                live_fleet.move(fleet.rows[0], fleet.secondary)

            await sync_to_async(unheard, thread_sensitive=False)()
            await seen.until(lambda: seen.rows[fleet.rows[0].pk]["state"] == "secondary", 5)
            seen.kinds.clear()
            child = start()
            await seen.until(lambda: "snapshot" in seen.kinds and seen.heartbeat["redis"], 8)

    try:
        asyncio.run(run())
    finally:
        web.stop()
        child.kill()


@pytest.mark.urls("registrations.health")
def test_a_worker_that_beats_is_found_by_readiness(redis_server: str, client: Client) -> None:
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
    with redis.Redis.from_url(redis_server) as server:
        assert 0 < server.ttl("rollcall:worker:worker-1") <= 10


@pytest.mark.urls("registrations.health")
def test_readiness_without_redis_is_no_error_page(client: Client, settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"]["ok"] and not answer.json()["redis"]["ok"]


async def refused(web: Web, token: str = "", **headers: str) -> bool:
    try:
        async with browser(web, token, **headers) as seen:
            await seen.take()
    except websockets.InvalidStatus as error:
        assert error.response.status_code == 403
        return True
    return False


def test_who_may_not_see_gets_no_socket(web: Web, token: str) -> None:
    nobody = User.objects.create_user("nobody", password="x")
    his = Token.objects.create(user=nobody).key
    ours = f"http://127.0.0.1:{web.port}"

    def cookie(user: User) -> str:
        client = Client()
        client.force_login(user)
        return f"sessionid={client.cookies['sessionid'].value}"

    admin, without_role = cookie(User.objects.get(username="admin")), cookie(nobody)

    async def run() -> None:
        assert await refused(web)
        assert await refused(web, "wrong")
        assert await refused(web, his)
        assert await refused(web, token, Origin="http://evil.example")
        assert await refused(web, Cookie=admin)
        assert await refused(web, Cookie=admin, Origin="http://evil.example")
        assert await refused(web, Cookie=without_role, Origin=ours)
        assert not await refused(web, Cookie=admin, Origin=ours)
        assert not await refused(web, token)

    asyncio.run(run())


def test_a_socket_ends_when_its_session_does(
    web: Web, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_SECONDS", 0.2)

    async def run() -> None:
        async with browser(web, token) as seen:
            await seen.take()
            await sync_to_async(Token.objects.all().delete, thread_sensitive=False)()
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await seen.until(lambda: False, 5)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401

    asyncio.run(run())


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        '{"watch": 1}',
        '{"watch": {"rows": "all"}}',
        '{"watch": {"rows": [true]}}',
        '{"watch": {"rows": [-1]}}',
        '{"watch": {"summary": 1}}',
        json.dumps({"watch": {"rows": list(range(1, 1002))}}),
    ],
)
def test_a_watch_that_makes_no_sense_ends_the_socket_with_a_reason(
    web: Web, token: str, text: str
) -> None:
    async def run() -> None:
        async with browser(web, token) as seen:
            await seen.connection.send(text)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await seen.until(lambda: False, 5)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4400
            assert closed.value.rcvd.reason

    asyncio.run(run())
