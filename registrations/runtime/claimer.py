"""Takes due registrations for this process: no more than it has room for, when a hint says so."""

import asyncio
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError

from registrations import store
from registrations.runtime.addressing import Addressing
from registrations.runtime.clock import Lease, steady
from registrations.runtime.database import Database
from registrations.runtime.flusher import Flusher
from registrations.runtime.following import claimed_for
from registrations.runtime.runner import Runner
from registrations.store import BATCH, Claimed
from registrations.vitals import counters

logger = logging.getLogger(__name__)

LEASE_S = 30.0
STARTED_AT_ONCE = 50
"""Agents started before the loop gets to look at its sockets again."""
LEAST_ROOM = 1 / 8
"""With a backlog, room for a smaller share of all is not worth a claim."""
RECRUIT_EVERY_S = 0.5
"""Whoever is recruited goes on by itself; a hint costs more than a registration does."""


class Claimer:
    """One claim at a time. `hint(site_id)` recruits another process for the rest of a backlog."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        database: Database,
        addressing: Addressing,
        runner: Runner,
        flusher: Flusher,
        hint: Callable[[int], None],
        max_in_flight: int,
    ) -> None:
        self._loop = loop
        self._database = database
        self._runner = runner
        self._flusher = flusher
        self._hint = hint
        self._addressing = addressing
        self._waiting: dict[asyncio.Task[None], Claimed] = {}
        """Rows whose servers' names DNS is being asked for."""
        self._max_in_flight = max_in_flight
        self._max_per_server = max_in_flight * 3 // 4
        self._least_room = max(1, int(max_in_flight * LEAST_ROOM))
        self._wanted: set[int] = set()
        self._backlog: set[int] = set()
        self._task: asyncio.Task[None] | None = None
        self._unbegun: deque[Claimed] = deque()
        self._beginning: asyncio.Task[None] | None = None
        """While one claim's agents begin the next is under way, so that the loop has work."""
        self._is_closed = False
        # Redis that is away may block for long: not in a thread the database needs.
        self._hinting = ThreadPoolExecutor(1, thread_name_prefix="runtime-hint")
        self._recruited_at: dict[int, float] = {}

    def room(self) -> int:
        """How many more agents this process takes."""
        taken = len(self._runner) + len(self._flusher) + len(self._waiting) + len(self._unbegun)
        return self._max_in_flight - taken

    def has_time(self) -> bool:
        """Whether questions may be asked now: nobody waits for a claim, half of it is free."""
        return not self._backlog and self.room() >= self._max_in_flight // 2

    def is_calm(self) -> bool:
        """Whether what can wait may be done now: nobody waits, and hardly anything is under way."""
        return not self._backlog and self._max_in_flight - self.room() < self._least_room

    def kick(self, site_id: int) -> None:
        """Look for due work of that site soon; a full process does not."""
        if self.room() > 0 and not self._is_closed:
            self._wanted.add(site_id)
            self._start()

    def room_made(self) -> None:
        """Agents have been saved: go on with a backlog."""
        if self._backlog and self.room() >= self._least_room and not self._is_closed:
            self._wanted |= self._backlog
            self._start()

    async def close(self) -> None:
        """Claim no more; wait for the claim under way, whose rows the caller gives back."""
        self._is_closed = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=10)
        if self._beginning is not None:
            await asyncio.wait([self._beginning], timeout=10)
        waiting = dict(self._waiting)
        for task, claimed in waiting.items():
            task.cancel()
            self._flusher.give_back(claimed, time.time())
        await asyncio.gather(*waiting, return_exceptions=True)
        self._hinting.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        if self._task is None:
            self._task = self._loop.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._wanted and self.room() > 0 and not self._is_closed:
                sites, self._wanted = sorted(self._wanted), set()
                for share in self._shares(sites):
                    if self.room() > 0 and not self._is_closed:
                        await self._claim(share)
        except DatabaseError as error:
            logger.error("nothing could be claimed: %s", error)
        except Exception:
            # Nobody awaits this task: what it raised would be lost, and the next hint claims again.
            logger.exception("nothing could be claimed")
        finally:
            self._task = None

    def _shares(self, sites: list[int]) -> list[list[int]]:
        """A site with a backlog is claimed of alone: then the index gives the order."""
        others = [site for site in sites if site not in self._backlog]
        alone = [[site] for site in sites if site in self._backlog]
        return [others, *alone] if others else alone

    async def _claim(self, sites: list[int]) -> None:
        limit = min(BATCH, self.room())
        per_server = self._runner.per_server + Counter(each.server_id for each in self._unbegun)
        full = [
            server
            for server, runs in per_server.items()
            if server is not None and runs >= self._max_per_server
        ]
        asked_at = steady()
        claimed = await self._database.run(claim, sites, limit, full)
        there_is_more = len(claimed) == limit
        self._backlog = {*self._backlog, *sites} if there_is_more else self._backlog - set(sites)
        if there_is_more:
            for site_id in {each.site_id for each in claimed}:
                self._recruit(site_id)
        self._unbegun.extend(claimed)
        if self._beginning is not None:
            await self._beginning
        self._beginning = self._loop.create_task(self._begin(claimed, asked_at))
        if there_is_more and self.room() >= self._least_room:
            self._wanted |= set(sites)

    async def _begin(self, claimed: list[Claimed], asked_at: float) -> None:
        for n, each in enumerate(claimed, 1):
            self._unbegun.popleft()
            try:
                self._begin_one(each, Lease.taken(each.lease_until, LEASE_S, asked_at))
            except Exception:
                logger.exception("registration %s could not be begun", each.registration_id)
                self._flusher.restart(each, time.time())
            if n % STARTED_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _begin_one(self, claimed: Claimed, lease: Lease) -> None:
        ready = self._addressing.at_hand(claimed)
        if ready is not None:
            self._runner.add(ready, lease)
        else:
            self._wait_for_dns(claimed, lease)

    def _wait_for_dns(self, claimed: Claimed, lease: Lease) -> None:
        task = self._loop.create_task(self._add_when_found(claimed, lease))
        self._waiting[task] = claimed
        task.add_done_callback(self._found)

    async def _add_when_found(self, claimed: Claimed, lease: Lease) -> None:
        self._runner.add(await self._addressing.find(claimed), lease)

    def _found(self, task: "asyncio.Task[None]") -> None:
        claimed = self._waiting.pop(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("registration %s has no targets", claimed.registration_id, exc_info=error)
            self._flusher.restart(claimed, time.time())

    def _recruit(self, site_id: int) -> None:
        now = steady()
        if self._is_closed or now - self._recruited_at.get(site_id, -math.inf) < RECRUIT_EVERY_S:
            return
        self._recruited_at[site_id] = now
        done = self._loop.run_in_executor(self._hinting, self._hint, site_id)
        done.add_done_callback(self._hinted)

    def _hinted(self, done: "asyncio.Future[None]") -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            logger.warning("a hint was lost: %s", error)


def claim(sites: Sequence[int], limit: int, busy_servers: Collection[int]) -> list[Claimed]:
    """Claim, count, and say what was claimed because somebody asked."""
    claimed = store.claim_due(sites, limit, LEASE_S, busy_servers=busy_servers)
    _count(claimed)
    claimed_for(claimed)
    return claimed


def _count(claimed: Sequence[Claimed]) -> None:
    for site, n in Counter(each.site_id for each in claimed).items():
        counters.CLAIMS.add(site, n=n)
    # A result takes back what a claim set aside (see `store.save`); without one it adds up.
    again = Counter(each.site_id for each in claimed if each.cseq_offset)
    for site, n in again.items():
        counters.CLAIMS_AGAIN.add(site, n=n)
