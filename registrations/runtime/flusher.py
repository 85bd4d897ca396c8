"""Results on their way into the database: every 100 ms or 500 results, a thousand in two writes.

A database that is away is waited for: results are kept until their lease ends. A result that the
database refuses is found by halving the batch, named in the log, and its row given back.
"""

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from django.db import DatabaseError, InterfaceError, OperationalError

from registrations import live, store
from registrations.runtime.calm import answers_before
from registrations.runtime.clock import steady
from registrations.runtime.database import Database
from registrations.runtime.following import ended_for
from registrations.store import BATCH, Claimed, Finished, Noticed
from registrations.store.sql import is_postgresql
from registrations.values import HostPort, Verdict
from registrations.vitals import counters

logger = logging.getLogger(__name__)

FLUSH_S = 0.1
SAME_PAUSE_S = 0.5
"""A pause that ends so little later than the one already told is the same one."""
OUTAGE_RETRY_S = 1.0
"""On average: drawn anew each time, so that workers do not all come back at once."""
REFUSED_RETRY_S = 30.0
KEPT_S = 30.0
"""No lease lasts longer than this after its agent has finished."""
GOOD_NEWS_EVERY_S = 0.5
"""Who was taken is written so often, for many together; what went wrong is written at once."""
STORM_NEWS_S = 4.0
"""And so often while agents leave no time for what can wait: each writing held up results."""
JUDGED = frozenset({Verdict.BOUND, Verdict.REFUSED})
"""What a server is judged by: any other answer says only that it is there."""
OLD_NEWS_S = 2.0
"""A server that answered is not noted again for so long, unless it missed meanwhile."""

Outage = (OperationalError, InterfaceError)


class Flusher:
    """Collects on the loop, writes in the database threads, publishes after the commit.

    `has_time` says whether what can wait may be done now.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        database: Database,
        on_room: Callable[[], None],
        has_time: Callable[[], bool] = lambda: True,
    ) -> None:
        self._loop = loop
        self._database = database
        self._on_room = on_room
        self._has_time = has_time
        self._finished: dict[int, Finished] = {}
        self._returned: dict[int, tuple[Claimed, float]] = {}
        self._stuck: dict[int, store.Broken] = {}
        self._noticed: list[Noticed] = []
        self._noticed_at = -GOOD_NEWS_EVERY_S
        self._is_finishing = False
        self._pauses: dict[tuple[int, HostPort], float] = {}
        self._paused_until: dict[tuple[int, HostPort], float] = {}
        self._good_news: dict[tuple[int, int], float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_out = False
        self._is_parallel = is_postgresql()
        """SQLite has one writer at a time."""

    def __len__(self) -> int:
        """Rows still under our lease that wait to be written."""
        return len(self._finished) + len(self._returned) + len(self._stuck)

    def add(self, finished: Finished) -> None:
        self._finished[finished.claimed.registration_id] = finished
        self._schedule(0.0 if len(self._finished) >= BATCH else FLUSH_S)

    def give_back(self, claimed: Claimed, due_at: float) -> None:
        """Release a row without a result; it is due at `due_at` (Unix seconds)."""
        self._returned[claimed.registration_id] = (claimed, due_at)
        self._schedule(FLUSH_S)

    def restart(self, claimed: Claimed, since: float) -> None:
        """Release a row whose agent failed or came to no end, since then: it is begun anew."""
        pk = claimed.registration_id
        self._stuck[pk] = store.Broken(pk, claimed.token, since)
        self._schedule(FLUSH_S)

    def pause(self, server_id: int, place: HostPort, until: float) -> None:
        """Let all workers know at once that a place asked to be left alone until `until`."""
        asked = (server_id, place)
        if until - self._paused_until.get(asked, 0.0) > SAME_PAUSE_S:
            self._paused_until[asked] = self._pauses[asked] = until
            self._schedule(0.0)

    async def finish(self, patience_s: float) -> None:
        """Write what is left, for at most so many seconds."""
        deadline = steady() + patience_s
        self._is_finishing = True
        while (len(self) or self._noticed or self._task) and steady() < deadline:
            self._schedule(0.0)
            await asyncio.sleep(0.02)
        self._is_finishing = False
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _notice(self, done: Finished) -> None:
        """Take up what a saved result says about servers; a lost lease says nothing.

        A server that answered is not noted again so soon, unless what it said is news: it took
        or refused a handset that had another answer from it before, or asked for a pause.
        """
        site_id = done.claimed.site_id
        before = answers_before(done.claimed)
        missed = _missed(done)
        for heard in done.result.heard:
            if not heard.answered and heard.server_id not in missed:
                continue
            pair, now = (heard.server_id, site_id), steady()
            said, _ = before.get(heard.server_id, ("", 0.0))
            is_news = heard.verdict in JUDGED and heard.verdict != said
            is_old = heard.answered and now - self._good_news.get(pair, -OLD_NEWS_S) < OLD_NEWS_S
            if is_old and not is_news and not heard.retry_after:
                continue
            if is_news:
                before[heard.server_id] = heard.verdict, heard.at
            if heard.answered:
                self._good_news[pair] = now
            else:
                self._good_news.pop(pair, None)
            self._noticed.append(
                Noticed(
                    *pair,
                    heard.answered,
                    heard.at,
                    heard.answer,
                    code=heard.code,
                    verdict=heard.verdict,
                    before=said,
                    retry_after=heard.retry_after,
                    place=heard.place,
                    registration_id=done.claimed.registration_id,
                    asked_at=heard.asked_at,
                )
            )

    def _schedule(self, delay: float) -> None:
        if self._task is not None:
            return
        when = self._loop.time() + delay
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if self._task is None:
            self._task = self._loop.create_task(self._flush())

    async def _flush(self) -> None:
        delay = FLUSH_S
        try:
            await self._write_pauses()
            await self._write_results()
            await self._write_returned()
            await self._write_stuck()
            await self._write_noticed()
            self._is_out = False
        except Outage as error:
            counters.FLUSH_FAILURES.add()
            if not self._is_out:
                logger.error("the database takes no results, they are kept: %s", error)
            self._is_out = True
            delay = OUTAGE_RETRY_S * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
            self._drop_overdue()
        except Exception:
            # Nobody awaits this task, and a flusher that stopped would hold up all results to come.
            counters.FLUSH_FAILURES.add()
            logger.exception("a flush failed")
            delay = OUTAGE_RETRY_S * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
            self._drop_overdue()
        finally:
            self._task = None
            if len(self) or self._noticed or self._pauses:
                self._schedule(0.0 if len(self._finished) >= BATCH and not self._is_out else delay)
        self._on_room()

    async def _write_results(self) -> None:
        waiting = list(self._finished.values())
        # A second batch only where it is a whole one: small ones cost nearly as much.
        batches = [waiting[:BATCH]] if waiting else []
        if self._is_parallel and len(waiting) >= 2 * BATCH:
            batches.append(waiting[BATCH : 2 * BATCH])
        ends = await asyncio.gather(*map(self._write, batches), return_exceptions=True)
        for end in ends:
            if end is not None:
                raise end

    async def _write(self, batch: list[Finished]) -> None:
        began = steady()
        saved, refused = await self._database.run(write, batch)
        counters.FLUSH_ROWS.observe(len(batch))
        counters.FLUSH_SECONDS.observe(steady() - began)
        for done in batch:
            pk = done.claimed.registration_id
            if self._finished.get(pk) is done:
                del self._finished[pk]
            if pk in saved:
                self._notice(done)
        for done in refused:
            self.give_back(done.claimed, time.time() + REFUSED_RETRY_S)

    async def _write_returned(self) -> None:
        returned = list(self._returned.items())[:BATCH]
        for due_at, leases in _by_due(each for _, each in returned).items():
            await self._database.run(store.release, leases, due_at)
        for pk, each in returned:
            if self._returned.get(pk) is each:
                del self._returned[pk]

    async def _write_stuck(self) -> None:
        stuck = list(self._stuck.values())[:BATCH]
        if not stuck:
            return
        await self._database.run(restart, stuck)
        for each in stuck:
            if self._stuck.get(each.registration_id) is each:
                del self._stuck[each.registration_id]

    async def _write_noticed(self) -> None:
        if not self._noticed or self._can_wait():
            return
        noticed, self._noticed, self._noticed_at = self._noticed, [], steady()
        try:
            await self._database.run(hear, noticed)
        except Outage:
            self._noticed = noticed + self._noticed
            raise

    def _can_wait(self) -> bool:
        """Whether there are only good news, and some were written a moment ago.

        In a storm results come first, to the last one.
        """
        every_s = GOOD_NEWS_EVERY_S if self._has_time() else STORM_NEWS_S
        is_soon = steady() - self._noticed_at < every_s
        return is_soon and not self._is_finishing and all(each.is_calm for each in self._noticed)

    async def _write_pauses(self) -> None:
        for asked, until in list(self._pauses.items()):
            try:
                await self._database.run(store.pause, *asked, until)
            except Outage:
                raise
            except DatabaseError:
                # Results come after this: they must not wait for a pause that is never taken.
                logger.exception("the pause of server %s at %s is not kept", *asked)
            if self._pauses.get(asked) == until:
                del self._pauses[asked]

    def _drop_overdue(self) -> None:
        """Whose lease is over has been or will be claimed anew: the result is of no use."""
        now = time.time()
        late = [pk for pk, done in self._finished.items() if done.at + KEPT_S < now]
        for pk in late:
            del self._finished[pk]
        for pk in [pk for pk, (c, _) in self._returned.items() if c.lease_until + KEPT_S < now]:
            del self._returned[pk]
        for pk in [pk for pk, each in self._stuck.items() if each.since + KEPT_S < now]:
            del self._stuck[pk]
        self._noticed = self._noticed[-BATCH:]
        if late:
            counters.LEASES_LOST.add("over before its result was saved", n=len(late))
            logger.error("%d results dropped: their lease ended before they were saved", len(late))


def write(batch: Sequence[Finished]) -> tuple[set[int], list[Finished]]:
    """Save and publish; return the ids saved and the results the database refuses.

    Raises Outage.
    """
    try:
        saved = {each.registration_id for each in store.save(batch)}
    except Outage:
        raise
    except Exception:
        # Whatever is wrong with one result (a fault of ours), the others are to be saved.
        if len(batch) == 1:
            pk = batch[0].claimed.registration_id
            logger.exception("the result of registration %s cannot be saved", pk)
            return set(), list(batch)
        half = len(batch) // 2
        (one, bad), (two, worse) = write(batch[:half]), write(batch[half:])
        return one | two, bad + worse
    if len(saved) < len(batch):
        counters.LEASES_LOST.add("lost before its result was saved", n=len(batch) - len(saved))
        logger.warning("%d results dropped: lease lost", len(batch) - len(saved))
    live.publish({"id": pk} for pk in saved)
    ended_for(batch, saved)
    return saved, []


def restart(stuck: Sequence[store.Broken]) -> None:
    """Let these be begun anew, and publish it."""
    ids = store.restart(stuck)
    counters.BEGUN_ANEW.add("worker", n=len(ids))
    live.publish({"id": pk} for pk in ids)


def hear(noticed: Sequence[Noticed]) -> None:
    """Note what was learnt of servers, and publish whom a change of that concerns."""
    tell(store.hear(noticed))


def _missed(done: Finished) -> set[int]:
    """Return the servers that answered nobody here: of one with several places, all must be mute.

    Who asks one dead place alone has learnt nothing of the others; the next probe asks them all.
    """
    if all(heard.answered for heard in done.result.heard):
        return set()
    asked: dict[int, set[HostPort]] = defaultdict(set)
    for heard in done.result.heard:
        asked[heard.server_id].add(heard.place)
    spoke = {heard.server_id for heard in done.result.heard if heard.answered}
    places = {
        entry.server_id: {target.host_port for target in entry.targets}
        for entry in done.claimed.group.entries
    }
    return {each for each in asked if each not in spoke and asked[each] >= places.get(each, set())}


def tell(moved: Sequence[tuple[int, int]]) -> None:
    """Publish the registrations that a change of condition of (server, site) concerns."""
    if moved:
        live.publish({"id": pk} for pk in store.concerned(moved))


def _by_due(returned: Iterable[tuple[Claimed, float]]) -> dict[float, dict[str, list[int]]]:
    sorted_out: dict[float, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for claimed, due_at in returned:
        sorted_out[due_at][claimed.token].append(claimed.registration_id)
    return sorted_out
