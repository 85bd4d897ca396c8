"""Asks servers whether they would take handsets that are not with them: standby proofs.

Below all other work: a question's REGISTERs leave only where nobody else waits for a permit, use
a part of the server's cap, and go to no place that has refused many of late (`proving.BRAKE_AT`).
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from django.db import DatabaseError

from registrations import live, observing, proving, store
from registrations.runtime.addressing import Addressing
from registrations.runtime.clock import Lease, steady
from registrations.runtime.database import Database
from registrations.runtime.nonces import Nonces
from registrations.runtime.pacer import Pacer
from registrations.runtime.question import Question
from registrations.runtime.rounds import Rounds
from registrations.runtime.switchboard import Switchboard
from registrations.runtime.turns import GATHER_S, Lane, Turn
from registrations.sip.targets import Located
from registrations.store import BATCH, ClaimedProof, Proved
from registrations.store.proofs import Place
from registrations.values import ListedContact, Outcome, Target

logger = logging.getLogger(__name__)

LEASE_S = 30.0
AT_ONCE = 600
"""Questions claimed by one process, most of them waiting for their turn at their place."""
CLAIM_EVERY_S = 5.0
SAVE_EVERY_S = 2.0
"""What comes one by one is claimed and saved together: a statement costs more than a question."""
SHARE = 0.25
"""Of a server's cap, for the questions of one process."""
REGISTERS = 2
"""Per question: the second one carries the credentials."""
WITHOUT_CAP = 200.0
"""REGISTERs per second of which SHARE is taken where the server has no cap."""


class Asker(Rounds[ClaimedProof]):
    """Claims due questions, asks them in turn, and saves the answers, fenced like all results."""

    what = "proving"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        database: Database,
        addressing: Addressing,
        switchboard: Switchboard,
        pacer: Pacer,
        contact_for: Callable[[str, tuple[str, int], str], str],
    ) -> None:
        super().__init__(loop, database, addressing)
        self._switchboard = switchboard
        self._pacer = pacer
        self._contact_for = contact_for
        self.transport = switchboard.transport
        self.nonces = Nonces()
        self._lanes: dict[Place, Lane] = {}
        self._questions: set[Question] = set()
        self._proved: list[Proved] = []
        self._put_back: dict[float, list[ClaimedProof]] = defaultdict(list)
        self._saving: asyncio.TimerHandle | None = None
        self._claimed_at: dict[int, float] = {}

    def kick(self, site_id: int) -> None:
        """Look for due questions of that site, unless that was done a moment ago."""
        is_due = steady() - self._claimed_at.get(site_id, -CLAIM_EVERY_S) >= CLAIM_EVERY_S
        if is_due and self._room() > AT_ONCE // 2:
            self._want(site_id)

    async def close(self) -> None:
        """Save what is known, give the rest back."""
        if self._saving is not None:
            self._saving.cancel()
        left = [*await self._end(), *(q.turn.claimed for q in self._questions)]
        for lane in self._lanes.values():
            left += [turn.claimed for turn in lane.waiting]
            if lane.timer is not None:
                lane.timer.cancel()
        for question in list(self._questions):
            self._forget(question)
        self._put_back[time.time()] += left
        try:
            await self._save()
        except DatabaseError as error:
            logger.error("questions could not be given back: %s", error)

    def go_on(self, question: Question) -> None:
        """Send what the question has to send; note its end."""
        if question not in self._questions:
            return
        fetch = question.fetch
        for data in fetch.datagrams_to_send():
            if not question.turn.lease.is_ours():
                self._over(question)
                return
            why = self.transport.send(fetch.target, data)
            if why is not None:
                self.failed(question, why)
                return
        if fetch.outcome is not None:
            self._answered(question, fetch.outcome)
            return
        self._follow(question)
        if fetch.wants_permit and not question.has_asked:
            question.has_asked = True
            self._pacer.ask(question)

    def failed(self, question: Question, why: str) -> None:
        """The network failed it."""
        if question in self._questions:
            question.fetch.transport_failed(why, question.now())
            self.go_on(question)

    def use(self, question: Question) -> str | None:
        """Let its REGISTER leave; return its branch, None where it may not."""
        question.has_asked = False
        if question.is_over:
            return None
        lane = question.lane
        if lane.allowance <= 0:
            self.put_off(question, time.time())
            return None
        if not lane.may_send:
            # Its slot is lost; it waits for an answer to one of those before it.
            lane.held.append(question)
            return None
        lane.unanswered += 1
        question.is_unanswered = True
        question.fetch.grant(question.now())
        self._loop.call_soon(self.go_on, question)
        return question.fetch.branch

    def put_off(self, question: Question, until: float) -> None:
        """Its turn would come too late, or the server asked to be left alone."""
        self._give_back([question.turn.claimed], until)
        self._over(question)

    def _follow(self, question: Question) -> None:
        branch = question.fetch.branch
        if branch is None:
            self._is_answered(question)
        for gone in self._switchboard.follow(question, (branch,) if branch else ()):
            self._pacer.over(question.turn.claimed.server_id, gone)
        timer = question.fetch.get_timer()
        self._switchboard.wake(question, None if timer is None else timer - question.shift)

    def _is_answered(self, question: Question) -> None:
        lane = question.lane
        lane.unanswered -= question.is_unanswered
        question.is_unanswered = False
        room = lane.allowance - lane.unanswered
        while lane.held and room > 0:
            held = lane.held.popleft()
            room -= not held.is_over
            self._loop.call_soon(self.go_on, held)

    def _answered(self, question: Question, outcome: Outcome) -> None:
        turn, finding = question.turn, proving.read(outcome)
        is_silent = finding.proof is proving.Proof.SILENT
        if is_silent and len(turn.targets) > 1:
            question.lane.waiting.appendleft(replace(turn, targets=turn.targets[1:]))
        else:
            if finding.proof is proving.Proof.PROVED:
                self.nonces.keep(turn.claimed, question.fetch.snapshot())
            self._conclude(turn, finding, outcome.ended_at, outcome)
        self._over(question)

    def _conclude(
        self,
        turn: Turn,
        finding: proving.Finding,
        at: float,
        outcome: Outcome | None = None,
    ) -> None:
        claimed = turn.claimed
        proved = Proved(claimed, finding, at, None)
        if outcome is not None:
            contacts, own_until = self._listed(turn, outcome, at)
            proved = Proved(claimed, finding, at, outcome.code, contacts, own_until)
        self._proved.append(proved)
        if proved.is_refusal:
            lane = self._lane(claimed)
            lane.allowance -= 1
            if lane.allowance <= 0:
                self._spare(claimed.place)
        self._save_soon()

    def _listed(
        self, turn: Turn, outcome: Outcome, at: float
    ) -> tuple[observing.Contacts, float | None]:
        """Who is bound beside our agent, and until when our agent is."""
        ours: list[ListedContact] = []
        if outcome.others:
            local = self.transport.local(turn.targets[0])
            uri = self._contact_for(turn.claimed.account.user, local, "udp")
            ours = observing.own_of(outcome.others, uri)
        others = [each for each in outcome.others if each not in ours]
        own = [outcome.expires, *(each.expires for each in ours)]
        lasts = max((seconds for seconds in own if seconds is not None), default=None)
        return observing.listed(others, at), None if lasts is None else at + lasts

    def _over(self, question: Question) -> None:
        self._forget(question)
        lane = question.lane
        (self._come_back if lane.gathers else self._pump)(lane)

    def _spare(self, place: Place) -> None:
        """Take back those of a place of which nothing is on its way: it has refused enough."""
        for question in list(self._questions):
            claimed = question.turn.claimed
            waits = not question.is_unanswered and question.fetch.outcome is None
            if claimed.place == place and waits:
                self._give_back([claimed], time.time())
                self._forget(question)

    def _forget(self, question: Question) -> None:
        self._questions.discard(question)
        question.is_over = True
        question.lane.open -= 1
        self._is_answered(question)
        for gone in self._switchboard.follow(question, ()):
            self._pacer.over(question.turn.claimed.server_id, gone)
        self._switchboard.wake(question, None)

    # -- whose turn it is --------------------------------------------------------------------

    def _lane(self, claimed: ClaimedProof) -> Lane:
        lane = self._lanes.get(claimed.place)
        if lane is None:
            lane = self._lanes[claimed.place] = Lane(claimed.allowance)
        return lane

    def _pump(self, lane: Lane) -> None:
        """Begin as many as may be open; give back those that come too late or may not be asked."""
        if self._is_closed:
            return
        if lane.allowance <= 0:
            self._give_back([turn.claimed for turn in lane.waiting], time.time())
            lane.waiting.clear()
        while lane.waiting and lane.has_room:
            if lane.is_early:
                self._come_back(lane)
                return
            self._begin(lane, lane.waiting.popleft())

    def _come_back(self, lane: Lane) -> None:
        def come() -> None:
            lane.timer = None
            self._pump(lane)

        if lane.timer is None:
            lane.timer = self._loop.call_later(GATHER_S, come)

    def _begin(self, lane: Lane, turn: Turn) -> None:
        if turn.lease.ends_within(LEASE_S / 2):
            self._give_back([turn.claimed], time.time())
            return
        rate = turn.claimed.rate or WITHOUT_CAP
        registers = 1 if self.nonces.get(turn.claimed) else REGISTERS
        share = observing.MOST_OF_CAP / 100 if turn.claimed.is_observed else SHARE
        lane.book(registers, rate * share)
        try:
            question = Question(self, turn, lane)
        except OSError as error:
            why = proving.Finding(proving.Proof.SILENT, error.strerror or "There is no way there.")
            self._conclude(turn, why, time.time())
            return
        lane.open += 1
        self._questions.add(question)
        self.go_on(question)

    # -- claiming and saving -----------------------------------------------------------------

    def _room(self) -> int:
        waiting = sum(len(lane.waiting) for lane in self._lanes.values())
        return AT_ONCE - waiting - len(self._questions) - len(self._finding)

    def _give_back(self, claimed: Sequence[ClaimedProof], due_at: float) -> None:
        if claimed:
            self._put_back[due_at] += claimed
            self._save_soon()

    def _save_soon(self) -> None:
        def save() -> None:
            self._saving = None
            self._start()

        if self._saving is None and not self._is_closed:
            self._saving = self._loop.call_later(SAVE_EVERY_S, save)

    def _unsaved(self) -> bool:
        if self._proved or self._put_back:
            # What comes one by one is saved together.
            self._save_soon()
        return False

    def _drop(self) -> None:
        self._proved.clear()
        self._put_back.clear()

    async def _save(self) -> None:
        proved, self._proved = self._proved[:BATCH], self._proved[BATCH:]
        if proved:
            await self._database.run(save, proved)
        put_back, self._put_back = self._put_back, defaultdict(list)
        for due_at, claimed in put_back.items():
            await self._database.run(store.release_proofs, claimed, due_at)

    async def _claim(self, sites: list[int]) -> None:
        asked_at = steady()
        self._claimed_at |= dict.fromkeys(sites, asked_at)
        limit = self._room()
        claimed = await self._database.run(store.claim_proofs, sites, limit, LEASE_S)
        if len(claimed) == limit:
            # There is more: the next hint finds it, as soon as there is room.
            self._claimed_at.clear()
        refused = Counter(each.claimed.place for each in self._proved if each.is_refusal)
        for each in claimed:
            # What they refused a moment ago is not saved yet.
            self._lane(each).allowance = each.allowance - refused[each.place]
            lease = Lease.taken(each.lease_until, LEASE_S, asked_at)
            if each.server_id in each.group.names:
                found = partial(self._located, each, lease)
                self._locate(each, each.group, each.server_id, each.registration_id, found)
            else:
                self._queue(each, lease, each.targets)
        for place in {each.place for each in claimed}:
            self._pump(self._lanes[place])

    def _queue(self, claimed: ClaimedProof, lease: Lease, targets: Sequence[Target]) -> None:
        paused = claimed.paused
        open_ones = tuple(target for target in targets if target.host_port not in paused)
        if open_ones:
            self._lane(claimed).waiting.append(Turn(claimed, lease, open_ones))
        else:
            self._give_back([claimed], min(paused[target.host_port] for target in targets))

    def _located(self, claimed: ClaimedProof, lease: Lease, located: Located) -> None:
        """Ask the server at its places."""
        if located.targets:
            self._queue(claimed, lease, located.targets)
            self._pump(self._lane(claimed))
        else:
            why = proving.Finding(proving.Proof.SILENT, located.unresolved)
            self._conclude(Turn(claimed, lease, ()), why, time.time())


def save(proved: Sequence[Proved]) -> None:
    """Write answers, and publish the observed lines that are elsewhere now."""
    live.publish({"id": pk} for pk in store.save_proofs(proved))
