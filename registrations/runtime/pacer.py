"""Permits: when a waiting REGISTER may leave, so that no server gets more than its cap.

The cap is kept at the last moment before the socket. A process reserves short blocks of slots
from the server's pace row; a slot may be used only at its time or up to LATE_S after it, else it
is lost. Where the database answers late, slots are asked for that much ahead: they would else be
past whenever they are heard of, and nothing would ever leave. Slots are a little further apart than
the cap asks (SPARE), so that in no second more leave than the cap allows, whatever the processes
are, even when one is put off the processor between its permit and its socket.

A place that asked to be left alone (503 with Retry-After) is sent nothing until its pause is
over: who waits for it is told at once, and goes elsewhere.

Beside the cap there is a window: requests younger than T1 without any answer. It keeps a burst
from overrunning a socket's buffer, and lets a silent server's requests not block those to come.
"""

import asyncio
import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from registrations.runtime.clock import GUARD_S, steady
from registrations.store import Slots
from registrations.values import HostPort

logger = logging.getLogger(__name__)

LATE_S = 0.02
"""How much later than its time a slot may be used."""
SPARE = 0.03
"""How much further apart slots are than the cap asks, as a share."""
BLOCK_S = 0.25
"""Seconds of a server's time that one reservation takes at most."""
WINDOW = 200
"""Unanswered requests younger than YOUNG_S per server and process."""
YOUNG_S = 0.5
RETRY_RESERVE_S = 0.5
TOGETHER_S = 0.01
"""So much later than their slot those come that gather: several slots for one wake-up."""
GATHER_S = 0.1
"""So long some wait for their like: a reservation costs more than a question's REGISTER."""
MARGIN = 0.25
"""By how much longer than of late the next reservation may take, as a share."""


@dataclass(eq=False, slots=True)
class Ticket:
    """A REGISTER that waits. `lease_until` (Unix seconds) bounds how long it can."""

    server_id: int
    place: HostPort
    """Which of the server's places it goes to."""
    rate: float
    """The server's cap per second; 0: none."""
    is_retry: bool
    lease_until: float
    use: Callable[[], str | None]
    """Lets the request leave now; returns its branch, None if it has gone away."""
    postpone: Callable[[float], None]
    """Called instead when its slot lies beyond the lease, with the slot's time."""
    pause: Callable[[float], None]
    """Called instead when the server asked to be left alone, with until when."""
    is_void: Callable[[], bool]
    """Whether nobody waits for it any more: it uses up no slot, and its `use` does nothing."""
    can_wait: bool = False
    """It goes only where nobody else waits, whatever its place in the queue."""
    gathers: bool = False
    """Of those that can wait: more like it are about to come, and they go together."""


class Waiting(Protocol):
    """A Ticket, or what has the same attributes: those of the runner have methods for the four."""

    server_id: int
    place: HostPort
    rate: float
    is_retry: bool
    can_wait: bool
    gathers: bool

    @property
    def lease_until(self) -> float: ...

    def use(self) -> str | None: ...

    def postpone(self, until: float, /) -> None: ...

    def pause(self, until: float, /) -> None: ...

    def is_void(self) -> bool: ...


Reserve = Callable[[int, HostPort, int, float, float, float], Awaitable[Slots]]
"""(server_id, place, n, rate, not_after, not_before) -> what was reserved: nothing where it is too
late."""


class Pacer:
    """Hands out permits server by server; runs on the loop's thread only.

    `wall` says Unix seconds, `clock` seconds that never jump.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reserve: Reserve,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = steady,
    ) -> None:
        self._loop = loop
        self._reserve = reserve
        self.wall = wall
        self.clock = clock
        self._lanes: dict[int, _Lane] = {}
        self._paused: dict[HostPort, float] = {}

    def ask(self, ticket: Waiting) -> None:
        """Queue a request; its `use` is called when it may leave, at once where nothing waits."""
        lane = self._lanes.get(ticket.server_id)
        if lane is None:
            lane = self._lanes[ticket.server_id] = _Lane(self._loop, self._reserve, self)
        if self._paused and (until := self.paused_until(ticket.place)) > self.wall():
            ticket.pause(until)
        else:
            lane.add(ticket)

    def pause(self, place: HostPort, until: float) -> None:
        """Send nothing there before `until` (Unix seconds); other places of its name go on."""
        if until > self._paused.get(place, 0.0):
            self._paused[place] = until
            for lane in list(self._lanes.values()):
                lane.send_away(place, until)

    def paused_until(self, place: HostPort) -> float:
        """Until when that place asked to be left alone (Unix seconds), as far as is known here."""
        return self._paused.get(place, 0.0)

    def over(self, server_id: int, branch: str) -> None:
        """The transaction of that branch has ended, or its server has answered."""
        lane = self._lanes.get(server_id)
        if lane is not None:
            lane.over(branch)

    def waiting(self, server_id: int) -> int:
        lane = self._lanes.get(server_id)
        return len(lane) if lane is not None else 0

    def forget_times(self) -> None:
        """The clock was set: slots and pauses known here are of another time."""
        self._paused.clear()
        for lane in list(self._lanes.values()):
            lane.forget_times()

    def close(self) -> None:
        for lane in self._lanes.values():
            lane.close()


class _Lane:
    """The queue before one server: credential retries first, then first come, first served.

    Behind both come those that can wait.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, reserve: Reserve, pacer: Pacer) -> None:
        self._loop = loop
        self._reserve = reserve
        self._pacer = pacer
        self._wall = pacer.wall
        self._clock = pacer.clock
        self._retries: deque[Waiting] = deque()
        self._firsts: deque[Waiting] = deque()
        self._rest: deque[Waiting] = deque()
        self._slots: deque[tuple[float, int, float]] = deque()
        self._unanswered: OrderedDict[str, float] = OrderedDict()
        """The window: branches and when they left (`steady` seconds), the oldest first."""
        self._timer: asyncio.TimerHandle | None = None
        self._comes_back_at = math.inf
        self._task: asyncio.Task[None] | None = None
        self._is_going = False
        self._gathered_at: float | None = None
        """Until when those who can wait do so (`steady` seconds)."""
        self._took_s = 0.0
        """How long reservations took of late."""

    def __len__(self) -> int:
        return sum(map(len, self._queues))

    @property
    def _queues(self) -> tuple[deque[Waiting], ...]:
        return self._retries, self._firsts, self._rest

    def add(self, ticket: Waiting) -> None:
        if ticket.can_wait:
            self._rest.append(ticket)
        elif ticket.is_retry:
            self._retries.append(ticket)
        else:
            self._firsts.append(ticket)
        self.go()

    def send_away(self, place: HostPort, until: float) -> None:
        """Tell those who wait for that place; the others go on."""
        away = [each for queue in self._queues for each in queue if each.place == place]
        self._retries, self._firsts, self._rest = (
            deque(each for each in queue if each.place != place) for queue in self._queues
        )
        for ticket in away:
            if not ticket.is_void():
                ticket.pause(until)
        self.go()

    def over(self, branch: str) -> None:
        if self._unanswered.pop(branch, None) is not None:
            self.go()

    def close(self) -> None:
        self._stay()
        if self._task is not None:
            self._task.cancel()

    def forget_times(self) -> None:
        """Whoever waits gets new slots."""
        self.close()
        self._task = None
        self._slots.clear()
        self.go()

    def go(self) -> None:
        """Let leave what may leave now; arrange to come back for the rest."""
        if self._is_going:
            # Using a permit may end another transaction at once: the loop below goes on.
            return
        self._is_going = True
        try:
            while queue := self._retries or self._firsts or self._rest:
                is_full = len(self._unanswered) >= WINDOW
                if is_full and (self._timer is not None or not self._has_room()):
                    # Whoever comes back finds the oldest old enough, or its slot's time come.
                    break
                ticket = queue[0]
                if ticket.rate and not ticket.is_void() and not self._take_slot(ticket):
                    break
                queue.popleft()
                branch = ticket.use()
                if branch is not None:
                    self._unanswered[branch] = self._clock()
        finally:
            self._is_going = False

    def _next(self) -> Waiting | None:
        while queue := self._retries or self._firsts or self._rest:
            if not queue[0].is_void():
                return queue[0]
            queue.popleft()
        return None

    def _has_room(self) -> bool:
        """Whether the oldest in a full window counts no more."""
        old_at = next(iter(self._unanswered.values())) + YOUNG_S
        if old_at > self._clock():
            self._come_back(old_at)
            return False
        self._unanswered.popitem(last=False)
        return True

    def _take_slot(self, ticket: Waiting) -> bool:
        """Use up a slot whose time has come; else see to it that there will be one."""
        now = self._wall()
        while self._slots:
            at, left, gap = self._slots.popleft()
            lost = min(left, max(0, math.ceil((now - LATE_S - at) / gap)))
            at, left = at + lost * gap, left - lost
            if not left:
                continue
            if at > now:
                self._slots.appendleft((at, left, gap))
                together = TOGETHER_S if ticket.gathers else 0.0
                self._come_back(self._clock() + (at - now) + together)
                self._reserve_ahead(ticket)
                return False
            if left > 1:
                self._slots.appendleft((at + gap, left - 1, gap))
            return True
        self._reserve_ahead(ticket)
        return False

    def _reserve_ahead(self, ticket: Waiting) -> None:
        """Reserve the next block when the slots at hand do not reach far enough."""
        if self._task is None and self._wanted(ticket.rate) > 0 and not self._gathers(ticket):
            self._task = self._loop.create_task(self._reserve_block(ticket.rate))

    def _gathers(self, ticket: Waiting) -> bool:
        """Whether the next one waits a moment longer for more of its kind."""
        now = self._clock()
        if not ticket.gathers or (self._gathered_at is not None and now >= self._gathered_at):
            self._gathered_at = None
            return False
        if self._gathered_at is None:
            self._gathered_at = now + GATHER_S
        self._come_back(self._gathered_at)
        return True

    def _wanted(self, rate: float) -> int:
        """How many slots to reserve now: none while half a block is at hand."""
        at_hand = sum(left for _, left, _ in self._slots)
        block = max(1, math.ceil(rate * max(BLOCK_S, self._ahead_s())))
        return min(block, len(self) - at_hand) if at_hand <= block // 2 else 0

    def _ahead_s(self) -> float:
        """How far ahead slots must be to come in time: not at all where most of a block does."""
        return self._took_s * (1.0 + MARGIN) if self._took_s > BLOCK_S / 2 else 0.0

    async def _reserve_block(self, rate: float) -> None:
        gap = (1.0 + SPARE) / rate
        ticket = self._next()
        # Counted only now: who came in the same turn of the loop is among them.
        n = self._wanted(rate)
        if ticket is None or n <= 0:
            self._task = None
            return
        asked_at = self._clock()
        try:
            slots = await self._reserve(
                ticket.server_id,
                ticket.place,
                n,
                1.0 / gap,
                ticket.lease_until - GUARD_S,
                self._wall() + self._ahead_s(),
            )
        except Exception:
            # Those who wait have nobody else to ask: without another try the lane would stand.
            logger.exception("no slots could be reserved for server %s", ticket.server_id)
            self._task = None
            self._come_back(self._clock() + RETRY_RESERVE_S)
            return
        self._task = None
        self._took_s = max(self._clock() - asked_at, self._took_s / 2)
        if slots.paused_until > self._wall():
            self._pacer.pause(ticket.place, slots.paused_until)
            self.go()
            return
        if slots.is_ours:
            self._slots.append((slots.first, n, gap))
        at_hand = sum(left for _, left, _ in self._slots)
        end = slots.first + n * gap if slots.is_ours else slots.first
        self._postpone_beyond(end, at_hand, gap)
        self.go()

    def _postpone_beyond(self, end: float, at_hand: int, gap: float) -> None:
        """Send away those whose turn would come after their lease, each with its own turn."""
        away: list[tuple[Waiting, float]] = []
        place = 0
        for queue in self._queues:
            for _ in range(len(queue)):
                ticket = queue.popleft()
                at = end + (place - at_hand) * gap
                if ticket.is_void():
                    continue
                if place >= at_hand and at > ticket.lease_until - GUARD_S:
                    away.append((ticket, at))
                else:
                    queue.append(ticket)
                place += 1
        for ticket, at in away:
            ticket.postpone(at)

    def _come_back(self, at: float) -> None:
        """Look again at `at` (`steady` seconds), if not sooner."""
        if at >= self._comes_back_at:
            return
        self._stay()
        self._comes_back_at = at
        wait = max(0.0, at - self._clock())
        self._timer = self._loop.call_at(self._loop.time() + wait, self._come)

    def _stay(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._comes_back_at = None, math.inf

    def _come(self) -> None:
        self._stay()
        self.go()
