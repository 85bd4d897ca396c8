"""Who gets what: datagrams by branch, network errors by branch or target, wake-ups by time.

One dictionary from the branches of all transactions in flight to their flights, and wake-ups
gathered in ticks with a single loop timer: no task per handset, no future per datagram. A wake-up
that is no longer wanted leaves nothing behind, as nearly all of them are: answers come first.
"""

import asyncio
import heapq
import logging
import math
from collections.abc import Callable, Sequence

from mypy_extensions import mypyc_attr

from registrations.runtime.clock import steady
from registrations.runtime.transport import Transport
from registrations.sip import message
from registrations.values import Target

logger = logging.getLogger(__name__)

GRAIN_S = 0.02
"""How long a tick is; SIP's own timers start at 500 ms."""
READ_FIRST_S = 2.0
"""How long wake-ups wait, at most, while answers that have come are yet to be read: a process that
is behind would otherwise ask again for what lies before it, and fall behind the more."""


# Compiled or not: what asks and probes is no hot path, and stays as it is written.
@mypyc_attr(allow_interpreted_subclasses=True)
class Flight:
    """Something with transactions in flight. The switchboard calls these three on the loop."""

    __slots__ = ("branches", "tick")

    def __init__(self) -> None:
        self.branches: tuple[str, ...] = ()
        self.tick: int | None = None
        """At the end of which tick `ring` is wanted."""

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
        self._ticks: dict[int, dict[Flight, None]] = {}
        """Who is to be woken at the end of which tick, in order."""
        self._heap: list[int] = []
        """The same ticks, first the next one."""
        self._timer: asyncio.TimerHandle | None = None

    def follow(self, flight: Flight, branches: tuple[str, ...]) -> Sequence[str]:
        """Let the flight have these branches from now on; return those it no longer has."""
        before = flight.branches
        if branches == before:
            return ()
        flight.branches = branches
        gone = []
        for branch in before:
            if branch not in branches:
                self._flights.pop(branch, None)
                gone.append(branch)
        for branch in branches:
            self._flights[branch] = flight
        return gone

    def wake(self, flight: Flight, at: float | None) -> None:
        """Call `flight.ring()` at `at` (`steady` seconds; None: not at all) or a grain later."""
        tick = None if at is None else int(at / GRAIN_S) + 1
        if tick == flight.tick:
            return
        before = None if flight.tick is None else self._ticks.get(flight.tick)
        if before is not None:
            before.pop(flight, None)
        flight.tick = tick
        if tick is None:
            return
        flights = self._ticks.get(tick)
        if flights is not None:
            flights[flight] = None
            return
        self._ticks[tick] = {flight: None}
        heapq.heappush(self._heap, tick)
        self._arm()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._heap.clear()
        self._ticks.clear()
        self._flights.clear()
        self.transport.close()

    def _arm(self) -> None:
        while self._heap and not self._ticks[self._heap[0]]:
            del self._ticks[heapq.heappop(self._heap)]
        if not self._heap:
            return
        when = self._loop.time() + max(0.0, self._heap[0] * GRAIN_S - steady())
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        late_s = steady() - self._heap[0] * GRAIN_S
        if late_s < READ_FIRST_S and self.transport.is_behind():
            # Nobody asks again for an answer that is here already.
            self._timer = self._loop.call_later(GRAIN_S, self._ring)
            return
        now = math.floor(steady() / GRAIN_S)
        while self._heap and self._heap[0] <= now:
            tick = heapq.heappop(self._heap)
            for flight in self._ticks.pop(tick):
                # Another one that was woken may have come between.
                if flight.tick == tick:
                    flight.tick = None
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
