"""What a worker says: which registrations changed, each second that it is alive, and beat's ticks.

A web process says that somebody may see less than before.

One thread per process with one event loop owns the channel layer, so `publish` and `beat` may be
called from any thread or loop, return at once, and never fail: what Redis does not take is lost,
and the number each message carries shows the gap to every hub.
"""

import asyncio
import logging
import secrets
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import redis
from channels.layers import get_channel_layer
from django.conf import settings

GROUP = "live"
"""The channel-layer group all hubs listen to."""

NO_USER = 0
"""Whose sockets those of wallboards are."""

SEND_SECONDS = 2.0
MOST_IDS = 5000
"""More changes than this in one message are told as "read everything again"."""

logger = logging.getLogger(__name__)


class Publisher:
    """The one sender of this process. Boot id and message number let hubs see what they missed."""

    def __init__(self) -> None:
        self.boot = secrets.token_hex(6)
        self._n = 0
        self._ids: set[int] = set()
        self._beat: dict[str, Any] | None = None
        self._ticked = False
        self._access: set[int] = set()
        self._left = ""
        self._said_bye = threading.Event()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._failing = False

    def publish(self, ids: Iterable[int]) -> None:
        with self._lock:
            self._ids.update(ids)
        self._rouse()

    def beat(self, worker: str, site: str, in_flight: int) -> None:
        with self._lock:
            self._beat = {"worker": worker, "site": site, "in_flight": in_flight}
        self._rouse()

    def ticked(self) -> None:
        with self._lock:
            self._ticked = True
        self._rouse()

    def access_changed(self, user_id: int) -> None:
        with self._lock:
            self._access.add(user_id)
        self._rouse()

    def leave(self, worker: str) -> None:
        with self._lock:
            self._left = worker
        self._rouse()
        self._said_bye.wait(SEND_SECONDS)

    def _rouse(self) -> None:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(target=self._run, name="live-publisher", daemon=True)
                thread.start()
        self._loop.call_soon_threadsafe(self._wake.set)

    def _run(self) -> None:
        assert self._loop is not None  # noqa: S101 - set before this thread starts
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._send_for_ever())

    async def _send_for_ever(self) -> None:
        layer = get_channel_layer()
        while True:
            await self._wake.wait()
            self._wake.clear()
            for message in self._take():
                await self._send(layer, message)

    def _take(self) -> list[dict[str, Any]]:
        with self._lock:
            ids, self._ids = self._ids, set()
            left, self._left = self._left, ""
            beat, self._beat = (None if left else self._beat), None
            ticked, self._ticked = self._ticked, False
            access, self._access = self._access, set()
        messages: list[dict[str, Any]] = []
        if ids:
            self._n += 1
            every = len(ids) > MOST_IDS
            messages.append({"kind": "rows", "ids": [] if every else sorted(ids), "every": every})
        if beat is not None:
            messages.append({"kind": "beat", **beat})
        if ticked:
            messages.append({"kind": "tick"})
        if access:
            messages.append({"kind": "access", "users": sorted(access)})
        if left:
            messages.append({"kind": "bye", "worker": left})
        return [m | {"boot": self.boot, "n": self._n} for m in messages]

    async def _send(self, layer: Any, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await layer.group_send(GROUP, message)
                if message["kind"] == "bye":
                    self._said_bye.set()
        except (redis.RedisError, OSError, TimeoutError) as error:
            if not self._failing:
                logger.warning("Redis takes no live messages: %s", error or type(error).__name__)
            self._failing = True
        else:
            if self._failing:
                logger.info("Redis takes live messages again")
            self._failing = False


_publisher = Publisher()


def _deaf() -> bool:
    """A process without Redis (a test) has nobody to tell."""
    return bool(settings.REDIS_URL.startswith("memory:"))


def publish(rows: Iterable[Mapping[str, Any]]) -> None:
    """Tell all hubs that these registrations changed; call it after the commit.

    Each row needs its `id` (Registration) only. Returns at once, from any thread; never raises.
    """
    if not _deaf():
        _publisher.publish(int(row["id"]) for row in rows)


def beat(worker: str, site: str = "", in_flight: int = 0) -> None:
    """Say that this worker is alive; call it each second.

    `worker` is its stable name (the same after a restart), `site` the site it stands in, '' for
    the shared queue.
    """
    if not _deaf():
        _publisher.beat(worker, site, in_flight)


def leave(worker: str) -> None:
    """Say that this worker stops in order, so that nobody waits for it; blocks for a moment."""
    if not _deaf():
        _publisher.leave(worker)


def ticked() -> None:
    """Say that a worker carried out beat's tick: somebody still looks for what falls due."""
    if not _deaf():
        _publisher.ticked()


def access_changed(user_id: int = NO_USER) -> None:
    """Tell all hubs to ask anew what this user's sockets may see: now, not when it is their time.

    NO_USER: those of screens that watch without a log-in.
    """
    if not _deaf():
        _publisher.access_changed(user_id)
