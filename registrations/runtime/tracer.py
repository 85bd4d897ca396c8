"""What agents send and hear, on its way into the ring of traces: noted here, written elsewhere.

The loop only hands over references. Masking, packing and Redis are a thread's work, BATCH tries at
a time. While agents need the processor it waits a little: nobody reads a trace sooner than its
handset is saved. Calm renewals are not kept. What does not fit, or what Redis does not take, is
dropped and counted.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import redis
from django.conf import settings

from registrations import ring, trace
from registrations.report import Heard
from registrations.trace.record import Noted
from registrations.vitals import counters

T = TypeVar("T")

logger = logging.getLogger(__name__)

FLUSH_S = 0.25
BATCH = 500
MOST_WAITING = 15_000
"""Tries: about 3 kB each until they are packed, then of at most `trace.record.MOST_PACKED` bytes,
0.3 kB as a rule."""
HELD = 12_000
"""So many wait until agents leave time for them, and no longer than HELD_S."""
HELD_S = 4.0
CALM_MESSAGES = 4
"""Request, challenge, request, answer: with more of them something was amiss."""
RETRY_S = 5.0
"""After a failure: until then nothing is written, and what comes waits, packed."""
AWAY = "Redis did not answer"
FULL = "Redis was full"
BUSY = "there were too many at once"


class _Try(NamedTuple):
    registration_id: int
    noted: Sequence[Noted]
    heard: Sequence[Heard]
    note: str
    at: float
    """When it was taken (seconds of the loop)."""


class Tracer:
    """Made and used on the loop's thread; never blocks it and never raises.

    `has_time` says whether what can wait may be done now.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, has_time: Callable[[], bool] = lambda: True
    ) -> None:
        self._loop = loop
        self._has_time = has_time
        self._is_deaf = settings.REDIS_URL.startswith("memory:")
        self._noted: deque[_Try] = deque()
        self._packed: deque[ring.Kept] = deque()
        """Packed already, and waiting for a Redis that takes them."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="runtime-trace")
        self._writer: ring.Writer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._working: asyncio.Future[_Worked] | None = None
        self._not_before = 0.0
        self._is_closing = False
        self._trouble = ""
        """Why Redis took nothing the last time; '' if it did."""
        self._lost: ring.Lost | None = None

    def __len__(self) -> int:
        """Tries that wait to be kept."""
        return len(self._noted) + len(self._packed)

    def keep(
        self,
        pk: int,
        noted: Sequence[Noted],
        heard: Sequence[Heard],
        note: str = "",
        is_calm: bool = False,
    ) -> None:
        """Take a registration's try that is over.

        `note` says why it has no end; a calm one is nothing new (see `calm`).
        """
        if not noted or self._is_deaf or (is_calm and len(noted) <= CALM_MESSAGES):
            return
        self._noted.append(_Try(pk, noted, heard, note, self._loop.time()))
        self._drop_beyond_room(self._noted)
        self._schedule()

    async def close(self) -> None:
        """Write what is left, if Redis takes it."""
        self._is_closing = True
        self._not_before = 0.0
        deadline = self._loop.time() + 2 * ring.WRITE_S
        while (self._noted or self._packed or self._working) and self._loop.time() < deadline:
            if self._not_before:
                break
            self._begin()
            await asyncio.sleep(0.02)
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=False)

    def _schedule(self, delay: float = FLUSH_S) -> None:
        if self._timer is None and self._working is None:
            self._timer = self._loop.call_later(delay, self._begin)

    def _can_wait(self) -> bool:
        """Whether agents come first: what waits is neither old nor much."""
        if self._is_closing or not 0 < len(self._noted) < HELD or self._has_time():
            return False
        return self._loop.time() - self._noted[0].at < HELD_S

    def _begin(self) -> None:
        self._timer = None
        if self._working is not None:
            return
        if self._can_wait():
            self._schedule()
            return
        may_write = self._loop.time() >= self._not_before
        noted, lost = _taken(self._noted), self._lost
        old = _taken(self._packed) if may_write else []
        # What is packed now goes behind what waits already: a line's tries stay in order.
        new_too = may_write and not self._packed
        if noted or old:
            job = (noted, old, lost, new_too)
            self._working = self._loop.run_in_executor(self._thread, self._work, *job)
            self._working.add_done_callback(lambda done: self._worked(done, lost))
        elif self._packed:
            self._schedule()

    def _worked(self, done: "asyncio.Future[_Worked]", told: ring.Lost | None) -> None:
        self._working = None
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            logger.error("tries were not kept", exc_info=error)
            return
        before, behind, trouble = done.result()
        if trouble is None:
            if self._trouble:
                logger.info("traces are kept again; %d tries were not", told.tries if told else 0)
            self._trouble = ""
            self._lost = None if self._lost is told else self._lost
        elif trouble:
            if not self._trouble:
                logger.warning("traces are not kept: %s", trouble)
            self._trouble = trouble
            self._not_before = self._loop.time() + RETRY_S
        self._packed.extendleft(reversed(before))
        self._packed.extend(behind)
        self._drop_beyond_room(self._packed)
        if self._noted or self._packed:
            # A storm's tries come faster than a batch at a time would be written.
            self._schedule(FLUSH_S if trouble or len(self._noted) < BATCH else 0.0)

    def _drop_beyond_room(self, waiting: "deque[Any]") -> None:
        """Drop the oldest where too many wait, and keep the count for those who read."""
        over = len(waiting) - MOST_WAITING
        if over <= 0:
            return
        counters.TRACES_LOST.add(n=over)
        now, before = time.time(), self._lost
        for _ in range(over):
            waiting.popleft()
        since, tries = (before.since, before.tries) if before else (now, 0)
        self._lost = ring.Lost(since, now, tries + over, self._trouble or BUSY)

    def _work(
        self, noted: list[_Try], old: list[ring.Kept], lost: ring.Lost | None, new_too: bool
    ) -> "_Worked":
        """In the thread: pack `noted`, write `old` and, if told, what was packed just now."""
        new = [kept for each in noted if (kept := _kept(each)) is not None]
        if new_too:
            old, new = old + new, []
        if not old:
            return [], new, ""
        try:
            if self._writer is None:
                self._writer = ring.Writer()
            self._writer.write(old, time.time())
            if lost is not None:
                self._writer.tell_lost(lost)
        except ring.Full:
            return old, new, FULL
        except redis.RedisError:
            return old, new, AWAY
        return [], new, None


_Worked = tuple[list[ring.Kept], list[ring.Kept], str | None]
"""What could not be written, what is yet to be, and why: None nothing failed, '' nothing was
tried."""


def _taken(waiting: "deque[T]") -> "list[T]":
    return [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]


def _kept(one: _Try) -> ring.Kept | None:
    ended = [trace.Ended(h.server_id, h.at, h.verdict, h.sentence) for h in one.heard]
    try:
        packed = trace.pack(one.noted, ended, one.note)
        return ring.Kept(one.registration_id, packed, trace.endings(one.noted, ended))
    except Exception:
        logger.exception("a try of registration %s cannot be kept", one.registration_id)
        return None
