"""One event loop thread per worker process: made at first use, stopped at the worker's end."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Any

from registrations.runtime.engine import Engine, Name

logger = logging.getLogger(__name__)

START_S = 10.0
STOP_S = 20.0


class LoopThread:
    """The thread and its engine. All that is public may be called from any thread."""

    def __init__(
        self,
        hint: Callable[[int], None],
        name: Name,
        due: Callable[[], Iterable[int]] = tuple,
    ) -> None:
        self._hint = hint
        self._name = name
        self._due = due
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine: Engine | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread unless it runs; returns when the engine does."""
        with self._lock:
            if self._thread is not None:
                return
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._run, name="runtime-loop", daemon=True)
            self._thread.start()
            self._ask(self._begin()).result(START_S)

    def kick(self, site_id: int) -> None:
        """Let the engine look for due work of that site; returns at once."""
        self.start()
        if self._loop is not None and self._engine is not None:
            self._loop.call_soon_threadsafe(self._engine.kick, site_id)

    def ticked(self) -> None:
        """Beat's tick came to this process, which looks for due work itself; returns at once."""
        if self._loop is not None and self._engine is not None:
            self._loop.call_soon_threadsafe(self._engine.ticked)

    def stop(self) -> None:
        """Stop the engine in order, then the loop. A second call does nothing."""
        with self._lock:
            loop, thread, engine = self._loop, self._thread, self._engine
            if loop is None or thread is None or engine is None:
                return
            try:
                self._ask(engine.stop()).result(STOP_S)
            except Exception:
                # The process ends anyway: leases run out and another worker takes over.
                logger.exception("the runtime did not stop in order")
            loop.call_soon_threadsafe(loop.stop)
            thread.join(STOP_S)
            self._loop = self._thread = self._engine = None

    def _run(self) -> None:
        assert self._loop is not None  # noqa: S101 - set before this thread starts
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _begin(self) -> None:
        self._engine = Engine(asyncio.get_running_loop(), self._hint, self._name, due=self._due)
        self._engine.start()

    def _ask(self, work: Coroutine[Any, Any, None]) -> "Future[None]":
        assert self._loop is not None  # noqa: S101 - callers hold the lock and have made it
        return asyncio.run_coroutine_threadsafe(work, self._loop)
