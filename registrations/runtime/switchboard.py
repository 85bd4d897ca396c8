"""Who gets what: datagrams by branch, network errors by branch or target, wake-ups by time.

One dictionary from the branches of all transactions in flight to their flights, and one heap of
wake-ups with a single loop timer: no task per handset, no future per datagram.
"""

import asyncio
import heapq
import logging
import math
from collections.abc import Callable
from itertools import count

from registrations.runtime.clock import steady
from registrations.runtime.transport import Transport
from registrations.sip import message
from registrations.values import Target

logger = logging.getLogger(__name__)

GRAIN_S = 0.02
"""Wake-ups are gathered to this grain; SIP's own timers start at 500 ms."""
READ_FIRST_S = 2.0
"""How long wake-ups wait, at most, while answers that have come are yet to be read: a process that
is behind would otherwise ask again for what lies before it, and fall behind the more."""


class Flight:
    """Something with transactions in flight. The switchboard calls these three on the loop."""

    __slots__ = ("branches", "queued_at", "wake_at")

    def __init__(self) -> None:
        self.branches: frozenset[str] = frozenset()
        self.wake_at: float | None = None
        """When `ring` is wanted, in `steady` seconds."""
        self.queued_at: float | None = None

    def receive(self, data: bytes, source: tuple[str, int]) -> None:
        raise NotImplementedError

    def transport_failed(self, target: Target, branch: str | None, why: str) -> None:
        raise NotImplementedError

    def ring(self) -> None:
        raise NotImplementedError


class Switchboard:
    """The process's sockets, its flights and their wake-ups.

    `answer(data, source)` gives the bytes that answer a request, or None.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        answer: Callable[[bytes, tuple[str, int]], bytes | None],
    ) -> None:
        self._loop = loop
        self._answer = answer
        self.transport = Transport(loop, self._on_datagram, self._on_failure)
        self._flights: dict[str, Flight] = {}
        self._heap: list[tuple[float, int, Flight]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None

    def follow(self, flight: Flight, branches: tuple[str, ...]) -> frozenset[str]:
        """Let the flight have these branches from now on; return those it no longer has."""
        before = flight.branches
        if len(before) == len(branches) and before.issuperset(branches):
            return frozenset()
        after = frozenset(branches)
        gone = before - after
        for branch in gone:
            self._flights.pop(branch, None)
        for branch in after - before:
            self._flights[branch] = flight
        flight.branches = after
        return gone

    def wake(self, flight: Flight, at: float | None) -> None:
        """Call `flight.ring()` at `at` (`steady` seconds; None: not at all) or a grain later."""
        flight.wake_at = at
        if at is None or (flight.queued_at is not None and flight.queued_at <= at):
            return
        flight.queued_at = at
        heapq.heappush(self._heap, (at, next(self._order), flight))
        self._arm()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._heap.clear()
        self._flights.clear()
        self.transport.close()

    def _arm(self) -> None:
        if not self._heap:
            return
        first = math.ceil(self._heap[0][0] / GRAIN_S) * GRAIN_S
        when = self._loop.time() + max(0.0, first - steady())
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = steady()
        if self.transport.is_behind() and now - self._heap[0][0] < READ_FIRST_S:
            # Nobody asks again for an answer that is here already.
            self._timer = self._loop.call_later(GRAIN_S, self._ring)
            return
        while self._heap and self._heap[0][0] <= now:
            at, _, flight = heapq.heappop(self._heap)
            if flight.queued_at != at:
                continue
            flight.queued_at = None
            if flight.wake_at is None:
                continue
            if flight.wake_at > now:
                self.wake(flight, flight.wake_at)
            else:
                flight.wake_at = None
                flight.ring()
        self._arm()

    def _on_datagram(
        self, data: bytes, source: tuple[str, int], reply: Callable[[bytes], None]
    ) -> None:
        branch = message.branch_of(data)
        if branch is not None:
            flight = self._flights.get(branch)
            if flight is not None:
                flight.receive(data, source)
            return
        answer = self._answer(data, source)
        if answer is not None:
            reply(answer)

    def _on_failure(self, target: Target, branch: str | None, why: str) -> None:
        if branch is not None:
            flight = self._flights.get(branch)
            if flight is not None:
                flight.transport_failed(target, branch, why)
            return
        for flight in set(self._flights.values()):
            flight.transport_failed(target, None, why)
