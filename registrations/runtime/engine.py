"""Everything a worker process runs on its loop, put together, started and stopped in order."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import Error as DatabaseError

from fleet import pulse
from registrations import live, store, vitals
from registrations.runtime.addressing import Addressing
from registrations.runtime.answerer import Answerer
from registrations.runtime.asker import Asker
from registrations.runtime.claimer import LEASE_S, Claimer
from registrations.runtime.clock import Lease, WallClock, steady
from registrations.runtime.database import Database
from registrations.runtime.flusher import Flusher
from registrations.runtime.pacer import Pacer
from registrations.runtime.prober import Prober
from registrations.runtime.resolver import Resolver
from registrations.runtime.runner import Run, Runner
from registrations.runtime.switchboard import Switchboard
from registrations.runtime.tracer import Tracer
from registrations.store import BATCH
from registrations.values import HostPort

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 2000
"""Agents per process. A silent server holds each for its whole ladder, so this bounds how fast a
fleet can find out by itself; an agent costs a few kB."""
EXTEND_EVERY_S = 5.0
EXTEND_WITHIN_S = 15.0
BEAT_S = 1.0
UNHINTED_S = 2.0
"""So long without a hint: perhaps none can come any more. Well within what is left of a binding
when its renewal is due, and far less than an overdue row is believed."""
LOOK_S = 1.0
STOP_S = 8.0


@dataclass(frozen=True, slots=True)
class Name:
    """Who this worker is to others: stable over restarts, and the site it stands in, or ''."""

    worker: str
    site: str


class Engine:
    """The runtime of one worker process; made and used on the loop's thread only.

    `due` says which of this worker's sites have due work, for when no hint comes; it reads the
    database.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        hint: Callable[[int], None],
        name: Name,
        max_in_flight: int = MAX_IN_FLIGHT,
        due: Callable[[], Iterable[int]] = tuple,
    ) -> None:
        self._loop = loop
        self._name = name
        self._due = due
        self._hinted_at = steady()
        self._database = Database(loop)
        self._switchboard = Switchboard(loop, Answerer().answer)
        self._pacer = Pacer(loop, self._reserve)
        self._flusher = Flusher(loop, self._database, self._room_made, self._is_calm)
        self._tracer = Tracer(loop, self._is_calm)
        self._runner = Runner(
            self._switchboard, self._pacer, self._flusher, self._tracer, contact_for
        )
        self._resolver = Resolver(settings.DNS_SERVERS)
        self._addressing = Addressing(self._resolver)
        self._claimer = Claimer(
            loop,
            self._database,
            self._addressing,
            self._runner,
            self._flusher,
            hint,
            max_in_flight,
        )
        shared = loop, self._database, self._addressing, self._switchboard, self._pacer
        self._prober = Prober(*shared, self._claimer.kick)
        self._asker = Asker(*shared, contact_for)
        self._chores: list[asyncio.Task[None]] = []
        self._clock = WallClock()
        self._resetting: asyncio.Task[None] | None = None
        """While it takes account of a clock that was set, nothing is claimed."""

    def start(self) -> None:
        self._chores = [
            self._loop.create_task(self._beat()),
            self._loop.create_task(self._extend_leases()),
            self._loop.create_task(self._look_unhinted()),
        ]

    def kick(self, site_id: int) -> None:
        """Look for what is due at that site: a hint came."""
        self._hinted_at = steady()
        self._look_at(site_id)

    def ticked(self) -> None:
        """Beat lives, and this process has just looked for due work itself."""
        self._hinted_at = steady()

    async def stop(self) -> None:
        """Save what is done, give back what is not (due at once), close everything."""
        for chore in [*self._chores, *([self._resetting] if self._resetting else [])]:
            chore.cancel()
        await self._claimer.close()
        await self._resolver.close()
        await self._prober.close()
        await self._asker.close()
        now = time.time()
        for claimed in self._runner.abandon("the worker stopped"):
            self._flusher.give_back(claimed, now)
        self._runner.tally.tell()
        await self._flusher.finish(STOP_S)
        await self._tracer.close()
        self._pacer.close()
        self._switchboard.close()
        await self._loop.run_in_executor(None, self._database.close)
        await self._loop.run_in_executor(None, vitals.farewell, "worker", self._name.worker)
        await self._loop.run_in_executor(None, live.leave, self._name.worker)

    def _look_at(self, site_id: int) -> None:
        """Take due registrations and probes of that site, and proofs if there is time."""
        self._look_at_clock()
        if self._resetting is not None:
            return
        self._claimer.kick(site_id)
        self._prober.kick(site_id)
        if self._claimer.has_time():
            self._asker.kick(site_id)

    def _room_made(self) -> None:
        self._claimer.room_made()

    def _is_calm(self) -> bool:
        return self._claimer.is_calm()

    async def _reserve(
        self,
        server_id: int,
        place: HostPort,
        n: int,
        rate: float,
        not_after: float,
        not_before: float,
    ) -> store.Slots:
        return await self._database.run(
            store.reserve, server_id, place, n, rate, not_after, not_before
        )

    async def _beat(self) -> None:
        while True:
            self._say_alive()
            self._look_at_clock()
            await asyncio.sleep(BEAT_S)

    def _say_alive(self) -> None:
        pulse.stir()
        self._runner.tally.tell()
        in_flight = len(self._runner)
        live.beat(self._name.worker, self._name.site, in_flight)
        vitals.tell(
            "worker",
            self._name.worker,
            site=self._name.site,
            in_flight=in_flight,
            room=max(0, self._claimer.room()),
            results_waiting=len(self._flusher),
            traces_waiting=len(self._tracer),
        )

    def _look_at_clock(self) -> None:
        step = self._clock.step()
        if step:
            before, self._resetting = self._resetting, None
            if before is not None:
                before.cancel()
            self._resetting = self._loop.create_task(self._clock_was_set(step))

    async def _clock_was_set(self, step: float) -> None:
        """Begin anew what was under way by the old time, and have all rows looked at again."""
        logger.warning("this machine's clock was set by %+.1f s", step)
        self._prober.abandon()
        for claimed in self._runner.abandon("this machine's clock was set"):
            self._flusher.give_back(claimed, time.time())
        self._pacer.forget_times()
        await self._flusher.finish(STOP_S)
        while True:
            try:
                await self._database.run(store.clock_was_set, step)
                break
            except DatabaseError as error:
                logger.error("the rows could not be told that the clock was set: %s", error)
                await asyncio.sleep(BEAT_S)
        self._resetting = None

    async def _look_unhinted(self) -> None:
        """Without hints look for due work oneself: no dead beat or Redis ends a registration."""
        while True:
            # Drawn anew each time, so that workers do not all ask at once.
            await asyncio.sleep(LOOK_S * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            if steady() - self._hinted_at < UNHINTED_S:
                continue
            try:
                sites = await self._database.run(self._due)
            except DatabaseError as error:
                logger.error("nobody hints, and due work cannot be looked for: %s", error)
                continue
            for site_id in sites:
                self._look_at(site_id)

    async def _extend_leases(self) -> None:
        while True:
            await asyncio.sleep(EXTEND_EVERY_S)
            self._runner.end_stuck(EXTEND_EVERY_S, LEASE_S)
            runs = self._runner.leases_ending(EXTEND_WITHIN_S)
            for start in range(0, len(runs), BATCH):
                await self._extend(runs[start : start + BATCH])

    async def _extend(self, runs: list[Run]) -> None:
        leases: dict[str, list[int]] = {}
        for run in runs:
            leases.setdefault(run.claimed.token, []).append(run.claimed.registration_id)
        asked_at, until = steady(), time.time() + LEASE_S
        try:
            kept = await self._database.run(store.extend, leases, until)
        except DatabaseError as error:
            logger.error("leases could not be extended: %s", error)
            return
        self._runner.extended(runs, kept, Lease.taken(until, LEASE_S, asked_at))


def contact_for(user: str, local: tuple[str, int], spoken: str) -> str:
    """Where a registered line is reached: the answerer, stable over workers and restarts.

    Over TLS nobody can call the answerer, who has no certificate: requests come in on our own
    connections (RFC 5923), as they do to a handset.
    """
    place = settings.SIP_CONTACT
    if not place:
        host = f"[{local[0]}]" if ":" in local[0] else local[0]
        place = f"{host}:{settings.PORT + 1000}"
    parameter = f";transport={spoken}" if spoken in ("tcp", "tls") else ""
    return f"sip:{user}@{place}{parameter}"
