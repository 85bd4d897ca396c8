"""A web process with the live socket, its Redis, and a client that does what live.js does."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
import websockets
from channels.db import database_sync_to_async
from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page

from registrations import live
from registrations.models import Registration
from registrations.routing import websocket_urlpatterns
from tests.support.processes import free_port


def channel_layers(url: str) -> dict[str, Any]:
    """The setting CHANNEL_LAYERS for a Redis of the test's own."""
    return {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [{"address": url, "socket_timeout": None}]},
        }
    }


class Web:
    """A web process's ASGI server in a thread: the live socket alone, or a whole application."""

    def __init__(self, application: Any = None, port: int = 0) -> None:
        if application is None:
            application = ProtocolTypeRouter({"websocket": URLRouter(websocket_urlpatterns)})
        self.port = port or free_port()
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
        deadline = time.monotonic() + 60
        while not self.server.started:
            assert time.monotonic() < deadline, "uvicorn did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(60)
        assert not self.thread.is_alive()


def whole(port: int = 0) -> Web:
    """A web process as users have it: pages, API and the live socket."""
    from fleet.config.asgi import application

    web = Web(application, port)
    web.start()
    return web


def log_in(page: Page, web: Web, user: User | None = None) -> Client:
    """The user's session (the admin's) in this browser, and a client that holds it too."""
    client = Client()
    user = user or User.objects.filter(username="admin").first()
    client.force_login(user or User.objects.create_superuser("admin"))
    page.context.add_cookies(
        [
            {
                "name": "sessionid",
                "value": client.cookies["sessionid"].value,
                "url": f"http://127.0.0.1:{web.port}",
            }
        ]
    )
    return client


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

    async def until(self, condition: Callable[[], Any], seconds: float = 30) -> None:
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


async def in_database(work: Callable[..., Any], *given: Any) -> Any:
    """Do this in another thread, as another process would; its connection is closed after."""
    return await database_sync_to_async(work, thread_sensitive=False)(*given)


@contextmanager
def worker(name: str = "worker-1", *, ticks: bool = True) -> Iterator[None]:
    """A worker that is alive and carries out beat's ticks, as far as anybody can hear."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.5):
            live.beat(name)
            if ticks:
                live.ticked()

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def publish(*registrations: Registration) -> None:
    live.publish([{"id": r.pk} for r in registrations])
