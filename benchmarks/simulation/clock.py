"""A loop nobody waits for: it goes from one event to the next and calls that the time."""

import heapq
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

DATABASE_S = 0.003
"""What a reservation of slots takes."""


class Handle:
    """One event to come, as `asyncio.TimerHandle` is asked about it."""

    __slots__ = ("_when", "callback", "given", "is_cancelled")

    def __init__(self, when: float, callback: Callable[..., None], given: tuple[Any, ...]) -> None:
        self._when = when
        self.callback = callback
        self.given = given
        self.is_cancelled = False

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled


class VirtualLoop:
    """What the pacer needs of an event loop, and a clock. Times are Unix seconds."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._events: list[tuple[float, int, Handle]] = []
        self._order = count()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., None], *given: Any) -> Handle:
        handle = Handle(max(when, self.now), callback, given)
        heapq.heappush(self._events, (handle.when(), next(self._order), handle))
        return handle

    def create_task(self, coroutine: Coroutine[Any, Any, None]) -> Handle:
        """Run it to its end a moment later: nothing it awaits ever waits here."""
        return self.call_at(self.now + DATABASE_S, _finish, coroutine)

    def run(self, until: float) -> None:
        """Let everything happen that is to happen before `until`."""
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, handle = heapq.heappop(events)
            if not handle.is_cancelled:
                handle.callback(*handle.given)
        self.now = until


def _finish(coroutine: Coroutine[Any, Any, None]) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("the reservation of slots waits for something in virtual time")
