"""Database work of the loop: in a few threads of its own, so that SQL never blocks the loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, InterfaceError, connection

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 6
"""A claim, two flushes, a reservation, a look at what is due and the extension of leases can be
under way at once: where each takes seconds, leases would else end while their extension waits."""


class Database:
    """Runs functions that use the ORM. Connections are kept open between jobs and closed at an
    error, because a connection per job would cost more than the job."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="runtime-db")

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Await `job(*args, **kwargs)`. Raises what it raises."""
        return await self._loop.run_in_executor(self._threads, lambda: _job(job, *args, **kwargs))

    def close(self) -> None:
        """Close every thread's connection, then end the threads."""
        together = Barrier(THREADS)

        def leave() -> None:
            together.wait(timeout=30)
            connection.close()

        for end in [self._threads.submit(leave) for _ in range(THREADS)]:
            end.result(timeout=60)
        self._threads.shutdown()


def _job(job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return job(*args, **kwargs)
    except (DatabaseError, InterfaceError):
        connection.close()
        raise
