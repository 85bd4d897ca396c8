"""What agents send and hear, on its way into the ring of traces: noted here, written elsewhere.

The loop only hands over references. Masking, packing and Redis are a thread's work, at most
BATCH tries each FLUSH_S; what does not fit, or what Redis does not take, is dropped and counted.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import redis
from django.conf import settings

from registrations import ring, trace
from registrations.report import Heard
from registrations.trace.record import Noted

logger = logging.getLogger(__name__)

FLUSH_S = 0.25
BATCH = 500
MOST_WAITING = 5000
"""Tries, of about 3 kB each."""
RETRY_S = 5.0
"""After a failure: until then nothing is tried, and what comes waits."""
AWAY = "Redis did not answer"
FULL = "Redis was full"
BUSY = "there were too many at once"


class _Waiting(NamedTuple):
    registration_id: int
    noted: Sequence[Noted]
    heard: Sequence[Heard]
    note: str


class Tracer:
    """Made and used on the loop's thread; never blocks it and never raises."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_deaf = settings.REDIS_URL.startswith("memory:")
        self._waiting: deque[_Waiting] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="runtime-trace")
        self._writer: ring.Writer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._not_before = 0.0
        self._trouble = ""
        """Why Redis took nothing the last time; '' if it did."""
        self._lost: ring.Lost | None = None

    def keep(
        self, registration_id: int, noted: Sequence[Noted], heard: Sequence[Heard], note: str = ""
    ) -> None:
        """Take a try that is over. `note` says why it has no end."""
        if not noted or self._is_deaf:
            return
        self._waiting.append(_Waiting(registration_id, noted, heard, note))
        self._drop_beyond_room()
        self._schedule()

    async def close(self) -> None:
        """Write what is left, if Redis takes it."""
        self._not_before = 0.0
        deadline = self._loop.time() + 2 * ring.WRITE_S
        while (self._waiting or self._writing) and self._loop.time() < deadline:
            if self._not_before:
                break
            self._begin()
            await asyncio.sleep(0.02)
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=False)

    def _schedule(self) -> None:
        if self._timer is None and self._writing is None:
            at = max(self._loop.time() + FLUSH_S, self._not_before)
            self._timer = self._loop.call_at(at, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if self._writing is not None or not self._waiting:
            return
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        lost = self._lost
        self._writing = self._loop.run_in_executor(self._thread, self._write, batch, lost)
        self._writing.add_done_callback(lambda done: self._written(done, batch, lost))

    def _written(
        self, done: "asyncio.Future[None]", batch: list[_Waiting], told: ring.Lost | None
    ) -> None:
        self._writing = None
        error = None if done.cancelled() else done.exception()
        if error is None:
            if self._trouble:
                logger.info("traces are kept again; %d tries were not", told.tries if told else 0)
            self._trouble = ""
            if self._lost is told:
                self._lost = None
        elif isinstance(error, ring.Full | redis.RedisError):
            if not self._trouble:
                logger.warning("traces are not kept: %s", error or type(error).__name__)
            self._trouble = FULL if isinstance(error, ring.Full) else AWAY
            self._not_before = self._loop.time() + RETRY_S
            self._waiting.extendleft(reversed(batch))
            self._drop_beyond_room()
        else:
            logger.error("%d tries cannot be kept", len(batch), exc_info=error)
        if self._waiting:
            self._schedule()

    def _drop_beyond_room(self) -> None:
        """Drop the oldest where too many wait, and keep the count for those who read."""
        over = len(self._waiting) - MOST_WAITING
        if over <= 0:
            return
        now, before = time.time(), self._lost
        for _ in range(over):
            self._waiting.popleft()
        since, tries = (before.since, before.tries) if before else (now, 0)
        self._lost = ring.Lost(since, now, tries + over, self._trouble or BUSY)

    def _write(self, batch: Sequence[_Waiting], lost: ring.Lost | None) -> None:
        """In the thread. Raises redis.RedisError or ring.Full."""
        if self._writer is None:
            self._writer = ring.Writer()
        self._writer.write([_kept(each) for each in batch], time.time())
        if lost is not None:
            self._writer.tell_lost(lost)


def _kept(one: _Waiting) -> ring.Kept:
    ended = [trace.Ended(h.server_id, h.at, h.verdict, h.sentence) for h in one.heard]
    packed = trace.pack(one.noted, ended, one.note)
    return ring.Kept(one.registration_id, packed, trace.endings(one.noted, ended))
