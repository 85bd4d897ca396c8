"""The hub: one per web process, the only reader of the channel layer, tells all its sockets.

It keeps the latest state of what its sockets watch. A worker's message marks rows as changed; the
hub reads them from the database and tells who watches them. Each REVIEW_SECONDS it looks at
everything watched even without a message, for time alone makes rows unknown.
"""

import asyncio
import logging
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from socket import gethostname
from typing import Any
from weakref import WeakKeyDictionary, ref

from channels.db import database_sync_to_async
from django.db import Error as DatabaseError

from registrations import vitals
from registrations.live.news import News
from registrations.live.reading import Found, Order, Reader, Stamp, T
from registrations.live.sockets import Change, Places, Send, Socket, Watch, dumps
from registrations.queries import moment
from registrations.queries.extent import Extent

ROWS_SECONDS = 0.1
"""The time from one look at the database to the next, while there is always something new."""

REST = 0.25
"""And between them at least this share of what the last one took."""

SUMMARY_SECONDS = 0.5
"""The least time between two sums; a sum that takes long is made more rarely."""

REVIEW_SECONDS = 3.0
HEARTBEAT_SECONDS = 5.0
HANGING_SECONDS = 5.0
"""A look at the database that takes longer counts as a database out of reach."""

Fresh = Mapping[Extent, tuple[str, ...]]
"""The changes of the history that nobody was told yet, for each part of the fleet."""

WEB = f"web@{gethostname()}:{os.getpid()}"
"""This process, to the others."""

logger = logging.getLogger(__name__)


def next_look(due: float, started: float) -> float:
    """Return when the look may begin that follows one which was due then and was started then.

    Looks that are late do not add up, and who was idle has half an interval in hand: changes that
    come as often as looks may be made, more or less, are not kept waiting for the next one.
    """
    return max(due, started - ROWS_SECONDS / 2) + ROWS_SECONDS


class Hub:
    """Fans out to its sockets. Lives in one event loop, from the first socket to the last."""

    def __init__(self) -> None:
        self.id = secrets.token_hex(6)
        self.sockets: set[Socket] = set()
        self._started_at = datetime.now(UTC)
        self._news = News(self._heard, self._recheck)
        self._reader, self._asker = Reader(), Reader()
        self._watchers: Counter[int] = Counter()
        self._rows: dict[int, dict[str, Any] | None] = {}
        self._texts: dict[int, str] = {}
        self._stamps: dict[int, Stamp] = {}
        self._summaries: dict[Extent, dict[str, Any]] = {}
        self._summary_texts: dict[Extent, str] = {}
        self._history: dict[Extent, dict[int, str]] = {}
        self._snapshots: dict[Watch, str] = {}
        self._shared: WeakKeyDictionary[Watch, ref[Watch]] = WeakKeyDictionary()
        self._dirty: set[int] = set()
        self._sums_dirty = False
        self._resync = False
        self._next_review = 0.0
        self._next_sums = 0.0
        self._wake = asyncio.Event()
        self._reading_since: float | None = None
        self._read_at: datetime | None = None
        self._database_failed = False
        self._heartbeats: dict[Places, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    # --- life ---------------------------------------------------------------------------------
    def start(self) -> None:
        for work in (self._news.listen, self._news.tick, self._refresh_for_ever, self._beat):
            task = asyncio.create_task(work(), name=f"live-{work.__name__}")
            task.add_done_callback(self._task_ended)
            self._tasks.append(task)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._reader.close()
        self._asker.close()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        logger.error("The live hub failed in %s", task.get_name(), exc_info=task.exception())
        self._retire()
        for socket in self.sockets:
            socket.close(1011, "The live hub failed; connect again.")

    # --- sockets ------------------------------------------------------------------------------
    def join(self, send: Send) -> Socket:
        socket = Socket(self, send)
        self.sockets.add(socket)
        self._heartbeats.clear()
        socket.push_heartbeat()
        return socket

    def leave(self, socket: Socket) -> None:
        if socket not in self.sockets:
            return
        self.sockets.discard(socket)
        self._unwatch(socket.seen)
        if not self.sockets:
            vitals.tell("web", WEB, kept_s=60, sockets=0)
            self._retire()
            self.stop()

    def _retire(self) -> None:
        """Let the next socket start a fresh hub."""
        for loop in [loop for loop, hub in _hubs.items() if hub is self]:
            del _hubs[loop]

    def watch(self, socket: Socket, watch: Watch) -> Watch:
        """Look at this too; returns the one object that all who watch the same share."""
        self._watchers.update(watch.rows)
        self._unwatch(socket.seen)
        self._wake.set()
        return self._shared.setdefault(watch, ref(watch))() or watch

    async def ask(self, question: Callable[..., T], *given: Any) -> T:
        """Have the database asked beside the looks at it, for all sockets by one connection."""
        return await self._asker.ask(question, *given)

    def _unwatch(self, watch: Watch) -> None:
        self._watchers.subtract(watch.rows)
        for pk in watch.rows:
            if not self._watchers[pk]:
                del self._watchers[pk]
                for known in (self._rows, self._texts, self._stamps):
                    known.pop(pk, None)

    # --- what comes in ------------------------------------------------------------------------
    def _heard(self, ids: frozenset[int], everything: bool) -> None:
        """Take what the news say: these rows changed, or (a gap) anything may have."""
        self._dirty |= ids & self._watchers.keys()
        self._sums_dirty = True
        self._resync = self._resync or everything
        self._wake.set()

    def _recheck(self, users: frozenset[int]) -> None:
        for socket in self.sockets:
            if not users or socket.user_id in users:
                socket.recheck.set()

    # --- looking at the database --------------------------------------------------------------
    async def _refresh_for_ever(self) -> None:
        due = 0.0
        while True:
            await self._work_to_do()
            order, resync = self._order()
            started = self._reading_since = time.monotonic()
            due = next_look(due, started)
            try:
                found = await self._reader.read(order)
            except DatabaseError:
                if not self._database_failed:
                    logger.exception("The live hub cannot read the database")
                self._database_failed = True
                self._dirty |= order.rows & self._watchers.keys()
                self._sums_dirty, self._resync = True, True
                await asyncio.sleep(1)
                continue
            finally:
                self._reading_since = None
            self._read_at, self._database_failed = datetime.now(UTC), False
            took = time.monotonic() - started
            if order.summary or order.history:
                self._next_sums = time.monotonic() + max(SUMMARY_SECONDS, 4 * took)
            self._tell(*self._learn(order, found), resync)
            await asyncio.sleep(max(due - time.monotonic(), REST * took))

    async def _work_to_do(self) -> None:
        """Return when something changed or somebody joined, or a review is due."""
        while True:
            at = min(self._next_review, self._next_sums) if self._sums_dirty else self._next_review
            try:
                async with asyncio.timeout(max(0.0, at - time.monotonic())):
                    await self._wake.wait()
            except TimeoutError:
                pass
            woken = self._wake.is_set()
            self._wake.clear()
            if woken or time.monotonic() >= at:
                return

    def _order(self) -> tuple[Order, bool]:
        now = time.monotonic()
        resync, self._resync = self._resync, False
        dirty, self._dirty = self._dirty, set()
        watched = frozenset(self._watchers)
        review = now >= self._next_review
        if review:
            self._next_review = now + REVIEW_SECONDS
        sums = resync or ((self._sums_dirty or review) and now >= self._next_sums)
        if sums:
            self._sums_dirty = False
        wanted = frozenset(s.seen.extent for s in self.sockets if s.seen.summary)
        for gone in self._summaries.keys() - wanted:
            del self._summaries[gone], self._summary_texts[gone]
        history = frozenset(s.seen.extent for s in self.sockets if s.seen.history)
        self._history = {
            extent: told for extent, told in self._history.items() if extent in history
        }
        order = Order(
            rows=watched if resync else frozenset((watched - self._rows.keys()) | dirty),
            review=watched if review and not resync else frozenset(),
            stamps=self._stamps,
            summary=wanted if sums else wanted - self._summaries.keys(),
            history=history if sums else history - self._history.keys(),
        )
        return order, resync

    def _learn(self, order: Order, found: Found) -> tuple[Change, Fresh]:
        """Take what was read into the latest state; return what changed of it, and the history."""
        changed = set()
        for pk in found.looked & self._watchers.keys():
            row = found.rows.get(pk)
            if pk not in self._rows or self._rows[pk] != row:
                changed.add(pk)
                self._rows[pk] = row
                self._texts[pk] = "" if row is None else dumps(row)
        self._stamps.update(
            (pk, stamp) for pk, stamp in found.stamps.items() if pk in self._watchers
        )
        summed = set()
        for extent, summary in found.summaries.items():
            if self._summaries.get(extent, {}) | {"as_of": ""} != summary | {"as_of": ""}:
                summed.add(extent)
            self._summaries[extent], self._summary_texts[extent] = summary, dumps(summary)
        transitions = {}
        for extent, rows in found.history.items():
            known = self._history.get(extent, {})
            told = {t["id"]: known.get(t["id"]) or dumps(t) for t in rows}
            transitions[extent] = tuple(text for pk, text in told.items() if pk not in known)
            self._history[extent] = told
        self._snapshots.clear()
        return Change(frozenset(changed), frozenset(summed)), transitions

    # --- what goes out ------------------------------------------------------------------------
    def _tell(self, change: Change, fresh: Fresh, resync: bool) -> None:
        # By identity: to compare what each of 1,000 sockets watches costs as much as to tell it.
        parts: dict[int, Change | None] = {}
        for socket in self.sockets:
            watch = socket.seen
            if not socket.has_asked:
                continue
            if socket.wants_snapshot or resync:
                socket.wants_snapshot = True
                if self._is_ready(watch):
                    socket.push_snapshot()
                else:
                    self._wake.set()
                continue
            if id(watch) not in parts:
                parts[id(watch)] = self._part(watch, change, fresh)
            if (part := parts[id(watch)]) is not None:
                socket.push(part)

    def _is_ready(self, watch: Watch) -> bool:
        """Say whether all of it was read; a watch that came during a read waits for the next."""
        return (
            watch.rows <= self._rows.keys()
            and not (watch.summary and watch.extent not in self._summaries)
            and not (watch.history and watch.extent not in self._history)
        )

    def _part(self, watch: Watch, change: Change, fresh: Fresh) -> Change | None:
        part = Change(
            watch.rows & change.rows,
            change.summary & {watch.extent} if watch.summary else frozenset(),
            fresh.get(watch.extent, ()) if watch.history else (),
        )
        if not (part.rows or part.summary or part.transitions):
            return None
        return Change(part.rows, part.summary, part.transitions, self.change_body(watch, part))

    def change_body(self, watch: Watch, change: Change) -> str:
        there = self._there(watch, change.rows)
        body = f'"type":"delta","rows":[{self._row_texts(there)}]'
        if gone := change.rows - there:
            body += f',"gone":{dumps(sorted(gone))}'
        if change.summary:
            body += f',"summary":{self._summary_texts[watch.extent]}'
        if change.transitions:
            body += f',"transitions":[{",".join(change.transitions)}]'
        return body

    def snapshot_body(self, watch: Watch) -> str:
        if (body := self._snapshots.get(watch)) is None:
            there = self._there(watch, watch.rows)
            body = f'"type":"snapshot","rows":[{self._row_texts(there)}]'
            if gone := (watch.rows - there) | watch.absent:
                body += f',"gone":{dumps(sorted(gone))}'
            if watch.summary:
                body += f',"summary":{self._summary_texts[watch.extent]}'
            if watch.history:
                told = self._history.get(watch.extent, {}).values()
                body += f',"transitions":[{",".join(told)}]'
            self._snapshots[watch] = body
        return body

    def _there(self, watch: Watch, ids: frozenset[int]) -> frozenset[int]:
        """Those of these rows that exist, for who watches: one at another site does not."""
        rows = ((pk, self._rows.get(pk)) for pk in ids)
        return frozenset(pk for pk, row in rows if row is not None and watch.may_see(row))

    def _row_texts(self, ids: frozenset[int]) -> str:
        return ",".join(self._texts[pk] for pk in sorted(ids))

    # --- heartbeat ----------------------------------------------------------------------------
    async def _beat(self) -> None:
        """Each HEARTBEAT_SECONDS, and at once when a worker, Redis or the database changes."""
        before: Any = None
        beaten = 0.0
        while True:
            now = time.monotonic()
            status = (self._database_ok(now), self._news.status(now))
            if status != before or now - beaten >= HEARTBEAT_SECONDS:
                before, beaten = status, now
                self._heartbeats.clear()
                for socket in self.sockets:
                    socket.push_heartbeat()
            for socket in list(self.sockets):
                socket.check_speed(now)
            vitals.tell("web", WEB, kept_s=60, sockets=len(self.sockets))
            await asyncio.sleep(0.5)

    def _database_ok(self, now: float) -> bool:
        hangs = self._reading_since is not None and now - self._reading_since > HANGING_SECONDS
        return not (hangs or self._database_failed)

    def heartbeat_body(self, places: Places = None) -> str:
        if (body := self._heartbeats.get(places)) is None:
            body = self._heartbeats[places] = self._heartbeat(places)
        return body

    def _heartbeat(self, places: Places) -> str:
        now = time.monotonic()
        told = {
            "type": "heartbeat",
            "at": moment(datetime.now(UTC)),
            "started_at": moment(self._started_at),
            "read_at": moment(self._read_at),
            "database": self._database_ok(now),
            **self._news.told(now, places),
        }
        return dumps(told)[1:-1]


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def join(send: Send) -> Socket:
    """Join this process's hub (this event loop's), which the first socket starts."""
    loop = asyncio.get_running_loop()
    if (hub := _hubs.get(loop)) is None:
        hub = _hubs[loop] = Hub()
        hub.start()
    return hub.join(send)


async def ask(question: Callable[..., T], *given: Any) -> T:
    """Return the answer to a question to the database. Raises what it raises.

    By the connection that this process's sockets share: when all browsers come back at once, one
    for each would keep them waiting. The first socket of all has one of its own.
    """
    hub = _hubs.get(asyncio.get_running_loop())
    if hub is None:
        return await database_sync_to_async(question)(*given)
    return await hub.ask(question, *given)
