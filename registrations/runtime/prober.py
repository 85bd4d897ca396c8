"""Asks every server of a site whether it still answers: each 10 s, sooner in doubt.

An OPTIONS asks whether it is there; in doubt a fetch asks whether it serves users (see
`store.probes`).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from django.db import DatabaseError

from registrations import store
from registrations.runtime.addressing import Addressing
from registrations.runtime.asked import Asked
from registrations.runtime.clock import Lease, steady
from registrations.runtime.database import Database
from registrations.runtime.flusher import tell
from registrations.runtime.pacer import Pacer, Ticket
from registrations.runtime.rounds import Rounds
from registrations.runtime.switchboard import Switchboard
from registrations.runtime.tokens import fresh_token
from registrations.sip.probe import FetchProbe, OptionsProbe
from registrations.sip.targets import Located
from registrations.store import ClaimedHealth, Probed
from registrations.values import Target
from registrations.vitals import counters

logger = logging.getLogger(__name__)

LEASE_S = 15.0
"""A probe is over within 3.5 s a request; then the row comes back soon although its worker died."""
AT_ONCE = 200
DOUBTED_S = 30.0
"""So long after a miss nobody waits for the next hint: every second counts until all have moved."""


@dataclass(eq=False, slots=True)
class Inquiry:
    """The questions to all places of one server, asked at once.

    It answers where any place does, and is silent only where none does.
    """

    lease: Lease
    open: set["Probe"] = field(default_factory=set)
    said: list[Probed] = field(default_factory=list)


class Probe(Asked[OptionsProbe | FetchProbe]):
    """One question under way, to one place: an OPTIONS, or in doubt a fetch."""

    __slots__ = ("claimed", "inquiry")

    def __init__(self, prober: "Prober", claimed: ClaimedHealth, inquiry: Inquiry) -> None:
        super().__init__(prober)
        self.claimed = claimed
        self.inquiry = inquiry
        target, account, now = claimed.target, claimed.account, self.now()
        sent_by = self.sent_by(target)
        if account is None:
            self.machine = OptionsProbe(target, sent_by, fresh_token, now)
        else:
            self.machine = FetchProbe(account, target, sent_by, fresh_token, now)


class Prober(Rounds[ClaimedHealth]):
    """Claims due probes like registrations and saves what came of them, fenced alike.

    `on_news` is told of a site where a server is in doubt, whenever something was learnt there: it
    may have made registrations due.
    """

    what = "probing"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        database: Database,
        addressing: Addressing,
        switchboard: Switchboard,
        pacer: Pacer,
        on_news: Callable[[int], None],
    ) -> None:
        super().__init__(loop, database, addressing)
        self._switchboard = switchboard
        self._pacer = pacer
        self._on_news = on_news
        self._doubted: dict[int, float] = {}
        """By site, when a server there was last missed (`steady` seconds)."""
        self.transport = switchboard.transport
        self._probes: set[Probe] = set()
        self._probed: list[Probed] = []
        self._put_back: list[tuple[ClaimedHealth, float]] = []

    def kick(self, site_id: int) -> None:
        """Look for due probes of that site soon."""
        self._want(site_id)

    def abandon(self) -> None:
        """Forget all probes and what came of them; their servers are probed again."""
        for probe in list(self._probes):
            self._forget(probe)
        self._probed.clear()
        self._put_back.clear()

    async def close(self) -> None:
        """Save what is known, give the rest back."""
        await self._end()
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
        machine = probe.machine
        for data in machine.datagrams_to_send():
            if not probe.inquiry.lease.is_ours():
                self._forget(probe)
                return
            why = self.transport.send(machine.target, data)
            if why is not None:
                self.failed(probe, why)
                return
        probed = _end_of(probe)
        if probed is not None:
            self._over(probe, probed)
            return
        self._follow(probe)
        if isinstance(machine, FetchProbe) and machine.wants_permit and not probe.has_asked:
            probe.has_asked = True
            self._pacer.ask(self._ticket(probe))

    def failed(self, probe: Probe, why: str) -> None:
        """The network failed it. Where TCP was only preferred the question goes on over UDP."""
        if probe in self._probes:
            probe.machine.transport_failed(why, probe.now())
            self.go_on(probe)

    def _ticket(self, probe: Probe) -> Ticket:
        """A fetch is a REGISTER and counts for the cap. It goes first: the fleet waits for it."""
        return Ticket(
            server_id=probe.claimed.target.server_id,
            place=probe.claimed.target.host_port,
            rate=probe.claimed.rate,
            is_retry=True,
            lease_until=probe.inquiry.lease.until,
            use=partial(self._use, probe),
            postpone=partial(self._put_off, probe),
            pause=partial(self._put_off, probe),
            is_void=lambda: probe not in self._probes,
        )

    def _use(self, probe: Probe) -> str | None:
        machine = probe.machine
        if probe not in self._probes or not isinstance(machine, FetchProbe):
            return None
        probe.has_asked = False
        machine.grant(probe.now())
        branch = machine.branch
        self._loop.call_soon(self.go_on, probe)
        return branch

    def _put_off(self, probe: Probe, until: float) -> None:
        self._forget(probe)
        if not probe.inquiry.open:
            self._put_back.append((probe.claimed, until))
            self._start()

    def _follow(self, probe: Probe) -> None:
        branch = probe.machine.branch
        for gone in self._switchboard.follow(probe, (branch,) if branch else ()):
            self._pacer.over(probe.claimed.target.server_id, gone)
        timer = probe.machine.get_timer()
        self._switchboard.wake(probe, None if timer is None else timer - probe.shift)

    def _over(self, probe: Probe, probed: Probed) -> None:
        self._forget(probe)
        inquiry = probe.inquiry
        inquiry.said.append(probed)
        serves = probed.code is not None and probed.code < 500
        if inquiry.open and not serves:
            return
        for rival in list(inquiry.open):
            self._forget(rival)
        answered = (each for each in inquiry.said if each.answered)
        self._conclude(probed if serves else next(answered, probed))

    def _conclude(self, probed: Probed) -> None:
        server_id = probed.claimed.target.server_id
        counters.PROBES.add(server_id, "answered" if probed.answered else "missed")
        self._probed.append(probed)
        self._start()

    def _forget(self, probe: Probe) -> None:
        self._probes.discard(probe)
        probe.inquiry.open.discard(probe)
        for gone in self._switchboard.follow(probe, ()):
            self._pacer.over(probe.claimed.target.server_id, gone)
        self._switchboard.wake(probe, None)

    def _unsaved(self) -> bool:
        return bool(self._probed or self._put_back)

    def _drop(self) -> None:
        self._probed.clear()

    async def _save(self) -> None:
        probed, self._probed = self._probed, []
        if probed:
            await self._database.run(save, probed)
            self._look_again(probed)
        put_back, self._put_back = self._put_back, []
        for claimed, until in put_back:
            await self._database.run(store.release_probes, [claimed], until)

    def _look_again(self, probed: Sequence[Probed]) -> None:
        """Where a server is in doubt others may be due now, and the same one will be soon."""
        now = steady()
        for each in probed:
            site_id = each.claimed.site_id
            if not each.answered:
                self._doubted[site_id] = now
                self._loop.call_later(store.DOUBT_EVERY_S, self.kick, site_id)
            if now - self._doubted.get(site_id, -DOUBTED_S) < DOUBTED_S:
                self._wanted.add(site_id)
                self._on_news(site_id)

    async def _claim(self, sites: list[int]) -> None:
        if len(self._probes) >= AT_ONCE:
            return
        asked_at = steady()
        claimed = await self._database.run(store.claim_probes, sites, AT_ONCE, LEASE_S)
        for each in claimed:
            lease = Lease.taken(each.lease_until, LEASE_S, asked_at)
            if each.group is None:
                self._begin(each, lease, [each.target])
            else:
                found = partial(self._located, each, lease)
                self._locate(each, each.group, each.target.server_id, each.health_id, found)

    def _located(self, claimed: ClaimedHealth, lease: Lease, located: Located) -> None:
        """Ask the server at its places. A name without a place is a miss."""
        places = [t for t in located.targets if t.host_port not in claimed.paused]
        if places:
            self._begin(claimed, lease, places)
        elif located.targets:
            ends = min(claimed.paused[target.host_port] for target in located.targets)
            self._put_back.append((claimed, ends))
            self._start()
        else:
            self._conclude(Probed(claimed, False, time.time(), located.unresolved))

    def _begin(self, claimed: ClaimedHealth, lease: Lease, places: Sequence[Target]) -> None:
        inquiry, why = Inquiry(lease), "no way there"
        for place in places:
            try:
                inquiry.open.add(Probe(self, replace(claimed, target=place), inquiry))
            except OSError as error:
                why = error.strerror or why
        if not inquiry.open:
            self._conclude(Probed(claimed, False, time.time(), why))
        self._probes |= inquiry.open
        for probe in list(inquiry.open):
            self.go_on(probe)


def _end_of(probe: Probe) -> Probed | None:
    """What the question came to; None while it is open."""
    machine, claimed = probe.machine, probe.claimed
    if isinstance(machine, OptionsProbe):
        if machine.answered is None:
            return None
        return Probed(
            claimed,
            machine.answered,
            probe.now(),
            machine.answer,
            machine.code,
            asked_at=machine.asked_at,
        )
    outcome = machine.outcome
    if outcome is None:
        return None
    return Probed(
        claimed,
        outcome.code is not None,
        probe.now(),
        outcome.answer or outcome.sentence,
        code=outcome.code,
        verdict=outcome.verdict.value,
        retry_after=outcome.retry_after,
        asked_at=outcome.asked_at,
    )


def save(probed: list[Probed]) -> None:
    """Write the ends of probes and publish whom a change concerns."""
    tell(store.save_probes(probed))
