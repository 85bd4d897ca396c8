"""The hub's look at the database: one thread, one connection, few queries per look."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

from django.db import Error, connections

from fleet import reach
from registrations import queries
from registrations.live.sockets import HISTORY
from registrations.queries.extent import Extent

CHUNK = 300
"""Ids per query: PostgreSQL looks them up. Of many more it would rather read all lines."""

T = TypeVar("T")
Stamp = tuple[Any, ...]
GONE: Stamp = ()


@dataclass(frozen=True, slots=True)
class Order:
    """What to read: `rows` anyway, `review` only where the stamp is not the one that was read."""

    rows: frozenset[int]
    review: frozenset[int]
    stamps: Mapping[int, Stamp]
    summary: frozenset[Extent]
    history: frozenset[Extent]


@dataclass(slots=True)
class Found:
    """What was read. An id in `looked` without a row is gone."""

    looked: set[int]
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    stamps: dict[int, Stamp] = field(default_factory=dict)
    summaries: dict[Extent, dict[str, Any]] = field(default_factory=dict)
    history: dict[Extent, list[dict[str, Any]]] = field(default_factory=dict)


def _chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(sorted(ids))
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def read(order: Order) -> Found:
    """Carry out one order. Raises django.db.Error."""
    now = datetime.now(UTC)
    found = Found(set(order.rows), stamps=dict.fromkeys(order.review, GONE))
    for chunk in _chunks(order.review):
        found.stamps.update(queries.stamps(chunk, now))
    found.looked |= {i for i in order.review if order.stamps.get(i) != found.stamps[i]}
    for chunk in _chunks(found.looked):
        for stamp, row in queries.stamped(chunk, now):
            found.stamps[row["id"]], found.rows[row["id"]] = stamp, row
    for extent in order.summary | order.history:
        with reach.limited_to(extent.sites if extent.is_reach else None):
            if extent in order.summary:
                found.summaries[extent] = queries.summary(now, extent)
            if extent in order.history:
                latest = queries.transitions()[:HISTORY]
                found.history[extent] = [queries.transition_row(each) for each in latest]
    return found


class Reader:
    """Asks the database in a thread of its own, which keeps its connection until `close`."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live-reader")

    async def read(self, order: Order) -> Found:
        """Raises django.db.Error; the next read then starts with a new connection."""
        return await self._run(read, order)

    async def ask(self, question: Callable[..., T], *given: Any) -> T:
        """Return its answer, asked once more where the connection was lost since the last one."""
        try:
            return await self._run(question, *given)
        except Error:
            return await self._run(question, *given)

    async def _run(self, question: Callable[..., T], *given: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _safely, question, *given)

    def close(self) -> None:
        self._thread.submit(connections.close_all)
        self._thread.shutdown(wait=False)


def _safely(question: Callable[..., T], *given: Any) -> T:
    try:
        return question(*given)
    except Error:
        connections.close_all()
        raise
