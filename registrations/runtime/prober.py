"""Asks every server of a site whether it still answers: an OPTIONS each 10 s, sooner in doubt."""

import asyncio
import logging
import secrets
import time

from django.db import DatabaseError

from registrations import store
from registrations.runtime.clock import Lease, steady
from registrations.runtime.database import Database
from registrations.runtime.flusher import tell
from registrations.runtime.switchboard import Flight, Switchboard
from registrations.sip import message
from registrations.sip.errors import SipParseError
from registrations.sip.probe import OptionsProbe
from registrations.store import ClaimedHealth, Probed
from registrations.values import Target

logger = logging.getLogger(__name__)

LEASE_S = 10.0
"""A probe is over within 3.5 s; then the row comes back soon although its worker died."""
AT_ONCE = 200


class Probe(Flight):
    """One OPTIONS under way."""

    __slots__ = ("claimed", "lease", "options", "prober", "shift")

    def __init__(self, prober: "Prober", claimed: ClaimedHealth, lease: Lease) -> None:
        super().__init__()
        self.prober = prober
        self.claimed = claimed
        self.lease = lease
        self.shift = time.time() - steady()
        host, port = prober.transport.local(claimed.target)
        sent_by = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.options = OptionsProbe(claimed.target, sent_by, token, self.now())

    def now(self) -> float:
        return steady() + self.shift

    def receive(self, data: bytes, source: tuple[str, int]) -> None:
        try:
            answer = message.parse(data)
        except SipParseError:
            return
        if isinstance(answer, message.Response):
            self.options.receive(answer, self.now())
            self.prober.go_on(self)

    def transport_failed(self, target: Target, branch: str | None, why: str) -> None:
        if target.place == self.claimed.target.place or branch is not None:
            self.prober.failed(self, why)

    def ring(self) -> None:
        self.options.handle_timer(self.now())
        self.prober.go_on(self)


class Prober:
    """Claims due probes like registrations and saves what came of them, fenced alike."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, database: Database, switchboard: Switchboard
    ) -> None:
        self._loop = loop
        self._database = database
        self._switchboard = switchboard
        self.transport = switchboard.transport
        self._probes: set[Probe] = set()
        self._probed: list[Probed] = []
        self._wanted: set[int] = set()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def kick(self, site_id: int) -> None:
        """Look for due probes of that site soon."""
        self._wanted.add(site_id)
        self._start()

    async def close(self) -> None:
        """Save what is known, give the rest back."""
        self._is_closed = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=5)
        open_probes = [probe.claimed for probe in self._probes]
        for probe in list(self._probes):
            self._forget(probe)
        try:
            await self._save()
            await self._database.run(store.release_probes, open_probes, time.time())
        except DatabaseError as error:
            logger.error("probes could not be given back: %s", error)

    def go_on(self, probe: Probe) -> None:
        """Send what the probe has to send; note its end."""
        if probe not in self._probes:
            return
        for data in probe.options.datagrams_to_send():
            if not probe.lease.is_ours():
                self._forget(probe)
                return
            why = self.transport.send(probe.claimed.target, data)
            if why is not None:
                self.failed(probe, why)
                return
        if probe.options.answered is not None:
            self._end(probe, probe.options.answered, probe.options.answer)
            return
        branch = probe.options.branch
        self._switchboard.follow(probe, (branch,) if branch else ())
        timer = probe.options.get_timer()
        self._switchboard.wake(probe, None if timer is None else timer - probe.shift)

    def failed(self, probe: Probe, why: str) -> None:
        if probe in self._probes:
            self._end(probe, False, why)

    def _end(self, probe: Probe, answered: bool, answer: str) -> None:
        self._forget(probe)
        self._probed.append(Probed(probe.claimed, answered, probe.now(), answer))
        self._start()

    def _forget(self, probe: Probe) -> None:
        self._probes.discard(probe)
        self._switchboard.follow(probe, ())
        probe.wake_at = None

    def _start(self) -> None:
        if self._task is None and not self._is_closed:
            self._task = self._loop.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._wanted or self._probed:
                await self._save()
                await self._claim()
        except DatabaseError as error:
            logger.error("probes wait for the database: %s", error)
            self._probed.clear()
        except Exception:
            logger.exception("probing failed")
        finally:
            self._task = None

    async def _save(self) -> None:
        probed, self._probed = self._probed, []
        if probed:
            await self._database.run(save, probed)

    async def _claim(self) -> None:
        sites, self._wanted = sorted(self._wanted), set()
        if not sites or len(self._probes) >= AT_ONCE:
            return
        asked_at = steady()
        claimed = await self._database.run(store.claim_probes, sites, AT_ONCE, LEASE_S)
        for each in claimed:
            self._begin(each, Lease.taken(each.lease_until, LEASE_S, asked_at))

    def _begin(self, claimed: ClaimedHealth, lease: Lease) -> None:
        try:
            probe = Probe(self, claimed, lease)
        except OSError as error:
            why = error.strerror or "no way there"
            self._probed.append(Probed(claimed, False, time.time(), why))
            return
        self._probes.add(probe)
        self.go_on(probe)


def save(probed: list[Probed]) -> None:
    """Write the ends of probes and publish whom a change concerns."""
    tell(store.save_probes(probed))


def token() -> str:
    return secrets.token_hex(12)
