"""What the hub hears through Redis: changed rows, workers' heartbeats, ticks, and its own beacon.

The beacon goes out each second and must come back: so a dead Redis, a lost subscription and a
subscription that came back by itself are all seen, whatever the client library says or hides.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
from channels.layers import get_channel_layer

from registrations.live.publisher import GROUP
from registrations.live.sockets import Places
from registrations.queries import moment
from registrations.vitals import counters

LATE_SECONDS = 5.0
"""A worker not heard for so long is late."""

SILENCE_SECONDS = 3.0
"""So long without any message, even our own beacon: the subscription is dead. So long without a
worker's beat: what it says next may have had a forerunner that nobody heard."""

TICK_LATE_SECONDS = 6.0
"""Beat ticks each second. So long without: nobody looks for what falls due."""

FORGET_SECONDS = 60.0
"""A late worker is forgotten after this when another one does the work of its site."""

MOST_BOOTS = 1000

UNREACHABLE = (redis.RedisError, OSError, TimeoutError)

logger = logging.getLogger(__name__)

Heard = Callable[[frozenset[int], bool], None]
"""Called with the ids that changed, and True when more may have changed unheard."""

Recheck = Callable[[frozenset[int]], None]
"""Called with the users who may see less than before; with nobody where it is not known who."""


@dataclass(slots=True)
class Worker:
    """One worker as last heard; `heard` on the monotonic clock."""

    site: str
    heard: float
    heard_at: datetime

    def is_late(self, now: float) -> bool:
        return now - self.heard > LATE_SECONDS


class News:
    """Listens for one hub."""

    def __init__(self, heard: Heard, recheck: Recheck) -> None:
        self._tell = heard
        self._recheck = recheck
        self._beacon = secrets.token_hex(6)
        self._sent = 0
        self._seen: dict[str, int] = {}
        self._workers: dict[str, Worker] = {}
        self._ticked = time.monotonic()
        self._ticked_at = datetime.now(UTC)
        self._redis_ok = True
        self._redis_since = datetime.now(UTC)

    async def listen(self) -> None:
        """Hear for ever; subscribe anew whenever nothing came for SILENCE_SECONDS."""
        while True:
            layer = get_channel_layer()
            channel = ""
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    channel = await layer.new_channel()
                    await layer.group_add(GROUP, channel)
                self._seen.pop(self._beacon, None)
                await self._receive(layer, channel)
            except UNREACHABLE as error:
                self._redis(False, str(error) or "nothing comes back")
                await self._start_afresh(layer)
            except asyncio.CancelledError:
                if channel:
                    await self._unsubscribe(layer, channel)
                raise

    async def _receive(self, layer: Any, channel: str) -> None:
        first = True
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                message = await layer.receive(channel)
            self._redis(True, "")
            if first:
                # Whatever was said while nobody listened is in the database, and who may look.
                first = False
                self._tell(frozenset(), True)
                self._recheck(frozenset())
            self._take(message)

    async def _start_afresh(self, layer: Any) -> None:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                await layer.flush()
        except UNREACHABLE as error:
            logger.info("Dropping the connection to Redis: %s", error or type(error).__name__)
        await asyncio.sleep(0.5)

    async def _unsubscribe(self, layer: Any, channel: str) -> None:
        try:
            async with asyncio.timeout(1):
                await layer.group_discard(GROUP, channel)
        except UNREACHABLE as error:
            logger.info("Leaving the live group: %s", error or type(error).__name__)

    async def tick(self) -> None:
        """Send the beacon each second, and forget workers whose work others do."""
        while True:
            self._sent += 1
            beacon = {"kind": "beacon", "boot": self._beacon, "n": self._sent}
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    await get_channel_layer().group_send(GROUP, beacon)
            except UNREACHABLE as error:
                self._redis(False, str(error) or type(error).__name__)
            self._forget(time.monotonic())
            await asyncio.sleep(1)

    def _take(self, message: dict[str, Any]) -> None:
        """Take one message; those of a newer version's own kinds are not minded."""
        kind = message["kind"]
        if kind == "tick":
            self._ticked, self._ticked_at = time.monotonic(), datetime.now(UTC)
        elif kind == "access":
            self._recheck(frozenset(message.get("users", ())))
        elif kind == "bye":
            self._workers.pop(message["worker"], None)
        elif kind in ("rows", "beat") or (kind == "beacon" and message["boot"] == self._beacon):
            self._take_numbered(message)

    def _take_numbered(self, message: dict[str, Any]) -> None:
        """Take a message whose number must follow the last one's: else there is a gap."""
        kind, boot, n = message["kind"], message["boot"], message["n"]
        last = self._seen.pop(boot, None)
        self._seen[boot] = n
        while len(self._seen) > MOST_BOOTS:
            del self._seen[next(iter(self._seen))]
        if kind == "beacon":
            if last is not None and n != last + 1:
                counters.LIVE_GAPS.add()
                self._tell(frozenset(), True)
            return
        quiet = kind == "beat" and self._heard_worker(message)
        is_gap = quiet or n != (last or 0) + (kind != "beat")
        if is_gap and last is not None:
            # Of who is heard for the first time, what it said before is no gap but read anyway.
            counters.LIVE_GAPS.add()
        if is_gap or kind != "beat":
            every = is_gap or message.get("every", False)
            self._tell(frozenset(message.get("ids", ())), every)

    def _heard_worker(self, message: dict[str, Any]) -> bool:
        """Note a beat; return whether the worker had been quiet before it."""
        now = time.monotonic()
        before = self._workers.get(message["worker"])
        self._workers[message["worker"]] = Worker(message["site"], now, datetime.now(UTC))
        return before is not None and now - before.heard > SILENCE_SECONDS

    def _forget(self, now: float) -> None:
        fresh = {w.site for w in self._workers.values() if not w.is_late(now)}
        for name, worker in list(self._workers.items()):
            if now - worker.heard > FORGET_SECONDS and worker.site in fresh:
                del self._workers[name]

    def _redis(self, ok: bool, why: str) -> None:
        if ok == self._redis_ok:
            return
        self._redis_ok, self._redis_since = ok, datetime.now(UTC)
        if ok:
            logger.info("The live hub hears Redis again")
        else:
            logger.warning("The live hub does not hear Redis: %s", why)

    def status(self, now: float) -> tuple[Any, ...]:
        """Return what a heartbeat must tell at once when it changes."""
        late = ((name, w.is_late(now)) for name, w in self._workers.items())
        return self._redis_ok, self._tick_is_late(now), *late

    def _tick_is_late(self, now: float) -> bool:
        return now - self._ticked > TICK_LATE_SECONDS

    def told(self, now: float, places: Places = None) -> dict[str, Any]:
        """Return the heartbeat's part about Redis, beat and the workers (monotonic now).

        Of workers that stand in a site's network, those of these sites.
        """
        return {
            "redis": self._redis_ok,
            "redis_since": moment(self._redis_since),
            "tick_late": self._tick_is_late(now),
            "ticked_at": moment(self._ticked_at),
            "workers": [
                {
                    "name": name,
                    "site": worker.site,
                    "heard_at": moment(worker.heard_at),
                    "late": worker.is_late(now),
                }
                for name, worker in sorted(self._workers.items())
                if places is None or not worker.site or worker.site in places
            ],
        }
