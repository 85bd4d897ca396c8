"""Results, and what was learnt of servers, on their way into the database."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from django.db import connection

from registrations import store
from registrations.models import Registration, ServerAcceptance
from registrations.runtime import flusher as flushing
from registrations.runtime.database import Database
from registrations.runtime.flusher import Flusher
from registrations.store import Claimed, Finished, Noticed
from tests.support.claims import Heard, finished, make_due, make_group, make_lines

pytestmark = pytest.mark.usefixtures("database")

LEASE = 600.0


def ended(claimed: Claimed, *verdicts: str) -> Finished:
    target = claimed.group.entries[0].targets[0]
    where = target.server_id, target.host_port
    heard = tuple(Heard(*where, True, time.time(), "", 200, verdict) for verdict in verdicts)
    return finished(claimed, heard=heard)


async def until(condition: Callable[[], bool], database: Database) -> None:
    deadline = time.monotonic() + 30
    while not await database.run(condition):
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


def test_good_news_gathers_bad_news_does_not_wait_and_neither_is_lost_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flushing, "GOOD_NEWS_EVERY_S", 3600.0)
    make_due(make_lines(5, make_group()))
    store.ensure_health()
    claimed = store.claim_due(None, 5, LEASE)

    def taken(n: int) -> Callable[[], bool]:
        return lambda: ServerAcceptance.objects.count() == n

    def saved(one: Claimed) -> Callable[[], bool]:
        row = Registration.objects.filter(pk=one.registration_id, lease_token=None)
        return row.exists

    async def body() -> None:
        loop = asyncio.get_running_loop()
        database = Database(loop)
        flusher = Flusher(loop, database, lambda: None)
        try:
            flusher.add(ended(claimed[0], "bound"))
            await until(taken(1), database)
            flusher.add(ended(claimed[1], "bound"))
            await until(saved(claimed[1]), database)
            flusher.add(ended(claimed[2], "bound"))
            await until(saved(claimed[2]), database)
            assert await database.run(taken(1)), "it waits for more of its kind"
            flusher.add(ended(claimed[3], "refused"))
            await until(taken(3), database)
            flusher.add(ended(claimed[4], "bound"))
            await flusher.finish(30)
            assert await database.run(taken(4))
        finally:
            await loop.run_in_executor(None, database.close)

    asyncio.run(body())


def test_in_a_storm_good_news_waits_until_agents_leave_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flushing, "GOOD_NEWS_EVERY_S", 0.0)
    monkeypatch.setattr(flushing, "STORM_NEWS_S", 3600.0)
    make_due(make_lines(2, make_group()))
    store.ensure_health()
    claimed = store.claim_due(None, 2, LEASE)
    has_time, flushes = True, 0

    def flushed() -> None:
        nonlocal flushes
        flushes += 1

    def taken(n: int) -> Callable[[], bool]:
        return lambda: ServerAcceptance.objects.count() == n

    def all_saved() -> bool:
        return not Registration.objects.exclude(lease_token=None).exists()

    async def body() -> None:
        nonlocal has_time
        loop = asyncio.get_running_loop()
        database = Database(loop)
        flusher = Flusher(loop, database, flushed, lambda: has_time)
        try:
            flusher.add(ended(claimed[0], "bound"))
            await until(taken(1), database)
            has_time = False
            flusher.add(ended(claimed[1], "bound"))
            await until(all_saved, database)
            before = flushes
            await until(lambda: flushes > before + 1, database)
            assert await database.run(taken(1)), "results come first"
            has_time = True
            await until(taken(2), database)
        finally:
            await loop.run_in_executor(None, database.close)

    asyncio.run(body())


def test_an_answer_that_judges_nobody_is_noted_once_for_all_whom_the_server_gives_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_due(make_lines(3, make_group()))
    store.ensure_health()
    told: list[str] = []

    def hear(noticed: Sequence[Noticed]) -> None:
        told.extend(each.verdict for each in noticed)

    monkeypatch.setattr(flushing, "hear", hear)

    async def body() -> None:
        loop = asyncio.get_running_loop()
        database = Database(loop)
        flusher = Flusher(loop, database, lambda: None)
        try:
            for claimed in await database.run(store.claim_due, None, 3, LEASE):
                # Who is bound is asked first.
                flusher.add(ended(claimed, "error", "bound"))
            await flusher.finish(30)
        finally:
            await loop.run_in_executor(None, database.close)

    asyncio.run(body())
    assert sorted(told) == ["bound", "bound", "bound", "error"]


def test_two_whole_batches_are_saved_at_once_where_the_database_takes_two_writers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flushing, "BATCH", 2)
    make_due(make_lines(5, make_group()))
    together = threading.Barrier(2 if connection.vendor == "postgresql" else 1)
    sizes: list[int] = []
    write = flushing.write

    def meeting(batch: Sequence[Finished]) -> tuple[set[int], list[Finished]]:
        sizes.append(len(batch))
        if len(batch) == 2:
            together.wait(timeout=30)
        return write(batch)

    monkeypatch.setattr(flushing, "write", meeting)

    async def body() -> None:
        loop = asyncio.get_running_loop()
        database = Database(loop)
        flusher = Flusher(loop, database, lambda: None)
        try:
            for claimed in await database.run(store.claim_due, None, 5, LEASE):
                flusher.add(ended(claimed, "bound"))
            await flusher.finish(60)
        finally:
            await loop.run_in_executor(None, database.close)

    asyncio.run(body())
    assert sorted(sizes) == [1, 2, 2]
    assert not Registration.objects.exclude(lease_token=None).exists()
