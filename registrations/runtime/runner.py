"""Drives the agents of this process: one input, drain until empty, re-arm one timer.

Nothing is sent on an expired lease: the lease is looked at before every batch of datagrams and
before every permit is used, by two clocks (see `clock`).
"""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from registrations.agent import Agent
from registrations.plan import Plan, Surroundings
from registrations.recovery import Pulse, longest_claim_s, longest_silence_s
from registrations.report import Heard, Want
from registrations.runtime.calm import is_calm
from registrations.runtime.clock import Lease, steady
from registrations.runtime.pacer import Pacer
from registrations.runtime.switchboard import Flight, Switchboard
from registrations.runtime.telling import NETWORK, TIMEOUT, Tally, class_of
from registrations.runtime.tokens import fresh_token
from registrations.sip.message import branch_of_request
from registrations.store import Claimed, Finished, GroupFacts
from registrations.trace.masking import MOST_BYTES
from registrations.trace.record import MOST_EVENTS, Kind, Noted
from registrations.values import HostPort, Target
from registrations.vitals import counters

logger = logging.getLogger(__name__)

MOST_NOTED = 2 * MOST_EVENTS
"""Of one run: whoever answers without end fills no memory."""
MOST_TURNS = 100
"""An agent that still has something to send after so many turns would never come to rest."""


class Results(Protocol):
    """Where finished agents go (see `flusher`)."""

    def add(self, finished: Finished) -> None: ...

    def restart(self, claimed: Claimed, since: float) -> None: ...

    def pause(self, server_id: int, place: HostPort, until: float) -> None: ...


class Traces(Protocol):
    """Where goes what agents sent and heard, once they are over (see `tracer`)."""

    def keep(
        self, pk: int, noted: list[Noted], heard: tuple[Heard, ...], note: str, is_calm: bool
    ) -> None: ...


class Run(Flight):
    """One agent under way, with the lease it runs on."""

    __slots__ = (
        "agent",
        "asked",
        "claimed",
        "is_over",
        "is_stirred",
        "is_turning",
        "lease",
        "noted",
        "pulse",
        "runner",
        "said",
        "shift",
    )

    def __init__(self, runner: "Runner", claimed: Claimed, lease: Lease, agent: Agent) -> None:
        super().__init__()
        self.runner = runner
        self.claimed = claimed
        self.lease = lease
        self.agent = agent
        self.shift = time.time() - steady()
        self.asked: dict[str, tuple[int, float]] = {}
        """By branch: of which server, and when (`steady` seconds)."""
        self.said = NETWORK
        """What the latest input was, by which a transaction may end: see `telling`."""
        self.noted: list[Noted] = []
        """What left and what came: references, for the trace."""
        self.pulse = Pulse()
        self.is_turning = False
        self.is_stirred = False
        """Its agent was told something in the midst of a turn and may want something more."""
        self.is_over = False

    def now(self) -> float:
        """Unix seconds that do not jump while this agent runs."""
        return steady() + self.shift

    def note(self, at: float, kind: Kind, target: Target | None, data: bytes | str) -> None:
        """Keep for the trace what left or came, within what a try may hold."""
        if len(self.noted) < MOST_NOTED:
            self.noted.append((at, kind, target, data))

    def receive(self, data: bytes, source: tuple[str, int]) -> None:
        now = steady() + self.shift
        self.said = class_of(data)
        self.note(now, Kind.HEARD, None, data[:MOST_BYTES])
        self.runner.turn(self, self.agent.receive, data, source, now)

    def transport_failed(self, target: Target, branch: str | None, why: str) -> None:
        now = self.now()
        self.said = NETWORK
        self.note(now, Kind.FAILED, target, why)
        self.runner.turn(self, self.agent.transport_failed, target, branch, why, now)

    def ring(self) -> None:
        self.said = TIMEOUT
        self.runner.turn(self, self.agent.handle_timer, self.now())


class _Waiting:
    """A run's REGISTER in the pacer's queue: its `Ticket`."""

    __slots__ = ("is_retry", "place", "rate", "run", "server_id", "want")
    can_wait = False
    gathers = False

    def __init__(self, run: Run, want: Want) -> None:
        self.run = run
        self.want = want
        self.server_id = want.server_id
        self.place = want.target.host_port
        self.rate = float(run.claimed.group.policy.max_registrations_per_second)
        self.is_retry = want.is_retry

    @property
    def lease_until(self) -> float:
        return self.run.lease.until

    def use(self) -> str | None:
        return self.run.runner.use(self.run, self.want)

    def postpone(self, until: float) -> None:
        self.run.runner.postpone(self.run, self.want, until)

    def pause(self, until: float) -> None:
        self.run.runner.pause(self.run, self.want, until)

    def is_void(self) -> bool:
        return self.run.is_over


class Runner:
    """All agents of this process. `contact_for` says where a registered line is reached."""

    def __init__(
        self,
        switchboard: Switchboard,
        pacer: Pacer,
        results: Results,
        traces: Traces,
        contact_for: Callable[[str, tuple[str, int], str], str],
    ) -> None:
        self._switchboard = switchboard
        self._transport = switchboard.transport
        self._pacer = pacer
        self._results = results
        self._traces = traces
        self._contact_for = contact_for
        self._around = Surroundings(self._contact, self._sent_by, fresh_token, random.random)
        self._plans: dict[int, tuple[GroupFacts, Plan]] = {}
        self._runs: dict[int, Run] = {}
        self.per_server: Counter[int | None] = Counter()
        """Runs per server they were claimed for, for the bound per server."""
        self._dropped: Counter[str] = Counter()
        self.tally = Tally()
        """What is counted of REGISTERs; whoever drives this has it told."""

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, claimed: Claimed, lease: Lease) -> None:
        """Start the agent of a row that is ours."""
        if claimed.registration_id in self._runs:
            self._drop(self._runs[claimed.registration_id], "its lease ended here and was renewed")
        try:
            plan = self._plan(claimed.group)
            agent = Agent(claimed.account, plan, claimed.snapshot, claimed.cseq_offset)
        except Exception:
            # A fault of ours in one line's agent is that line's alone: named, and tried again.
            self._blame(claimed)
            return
        run = Run(self, claimed, lease, agent)
        self._runs[claimed.registration_id] = run
        self.per_server[claimed.server_id] += 1
        for place, until in claimed.news.paused.items():
            self._pacer.pause(place, until)
        self.turn(run, agent.start, run.now(), claimed.wish, claimed.news)

    def turn(self, run: Run, action: Callable[..., Any], *given: Any) -> Any:
        """Give the agent one input and do all that comes of it; return what the action did.

        An agent that raises is put off.
        """
        if run.is_over:
            return None
        run.is_turning = True
        run.pulse.turns += 1
        try:
            returned = action(*given)
            self._drain(run)
        except Exception:
            # The same: the other agents of this process go on.
            self._end(run, "its agent failed")
            self._blame(run.claimed)
            return None
        finally:
            run.is_turning = False
        return returned

    def leases_ending(self, within_s: float) -> list[Run]:
        """Return the runs whose lease must be extended; forget those whose lease is over."""
        self._tell_of_drops()
        ending = [run for run in self._runs.values() if run.lease.ends_within(within_s)]
        for run in ending:
            if not run.lease.is_ours():
                self._drop(run, "its lease is over")
        return [run for run in ending if not run.is_over]

    def end_stuck(self, every_s: float, lease_s: float) -> None:
        """Look at all agents; call it each `every_s`. End those that come to no end by themselves.

        One that neither sends, hears nor is woken any more would hold its lease for ever.
        """
        for run in list(self._runs.values()):
            run.pulse.look()
            group = run.claimed.group
            targets = sum(len(entry.targets) for entry in group.entries)
            silence_s = longest_silence_s(group.policy, lease_s)
            claim_s = longest_claim_s(group.policy, targets, lease_s)
            if run.pulse.is_stuck(every_s, silence_s, claim_s):
                pk, still_s = run.claimed.registration_id, run.pulse.still * every_s
                logger.error("the agent of registration %s is stuck, still for %.0f s", pk, still_s)
                self._end(run, "its agent was stuck")
                self._results.restart(run.claimed, time.time() - still_s)

    def extended(self, runs: Iterable[Run], kept: set[int], lease: Lease) -> None:
        """The lease of these runs was extended where the row was still ours."""
        for run in runs:
            if run.claimed.registration_id in kept:
                run.lease = lease
            elif not run.is_over:
                self._drop(run, "its lease was lost")

    def abandon(self, why: str) -> list[Claimed]:
        """Forget all agents and return what they had claimed; `why` goes into their traces."""
        self._tell_of_drops()
        runs = list(self._runs.values())
        for run in runs:
            self._end(run, why)
        return [run.claimed for run in runs]

    def _plan(self, group: GroupFacts) -> Plan:
        """Return the plan all lines of a group share; a claim that knows it better brings anew."""
        facts, plan = self._plans.get(group.group_id, (None, None))
        if plan is None or facts is not group:
            plan = Plan(group.mode, group.policy, group.entries, self._around)
            self._plans[group.group_id] = group, plan
        return plan

    def _contact(self, user: str, target: Target, spoken: str) -> str:
        return self._contact_for(user, self._transport.local(target), spoken)

    def _sent_by(self, target: Target) -> str:
        host, port = self._transport.local(target)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _drain(self, run: Run) -> None:
        agent = run.agent
        for _ in range(MOST_TURNS):
            run.is_stirred = False
            decision = agent.decide()
            if decision.pauses:
                self._pause(decision.pauses)
            if decision.branches != run.branches:
                # Who waited for a transaction that ended goes on: that may be this very run.
                self._let_go(run, self._switchboard.follow(run, decision.branches))
            if decision.datagrams and not run.is_over:
                self._send(run, decision.datagrams)
            for want in decision.wants:
                self._pacer.ask(_Waiting(run, want))
            if run.is_over:
                return
            if not run.is_stirred:
                break
        else:
            raise RuntimeError("the agent does not come to rest")
        if decision.is_idle:
            self._finish(run)
        else:
            timer = decision.timer
            self._switchboard.wake(run, None if timer is None else timer - run.shift)

    def _pause(self, pauses: Mapping[tuple[int, HostPort], float]) -> None:
        for (server_id, place), until in pauses.items():
            self._pacer.pause(place, until)
            self._results.pause(server_id, place, until)

    def _send(self, run: Run, datagrams: Iterable[tuple[Target, bytes]]) -> None:
        """Let leave what the agent wants to send; what cannot leave is told to it at once."""
        at = steady()
        if not run.lease.is_ours(at):
            self._drop(run, "its lease ended while it had something to send")
            return
        now = at + run.shift
        for target, data in datagrams:
            run.note(now, Kind.SENT, target, data)
            why = self._transport.send(target, data)
            if why is not None:
                run.said = NETWORK
                run.note(now, Kind.FAILED, target, why)
                run.agent.transport_failed(target, branch_of_request(data), why, now)
                run.is_stirred = True

    def _let_go(self, run: Run, gone: Iterable[str]) -> None:
        for branch in gone:
            asked = run.asked.pop(branch, None)
            if asked is not None:
                self._pacer.over(asked[0], branch)
                self.tally.ended(asked[0], run.said, steady() - asked[1])

    def use(self, run: Run, want: Want) -> str | None:
        """Let a request leave now; return its branch, None where it has gone away."""
        if run.is_over:
            return None
        at = steady()
        if not run.lease.is_ours(at):
            self._drop(run, "its lease ended while it waited for its turn")
            return None
        if run.is_turning:
            run.is_stirred = True
            run.pulse.turns += 1
            return self._grant(run, want, at)
        branch: str | None = self.turn(run, self._grant, run, want, at)
        return branch if branch in run.branches else None

    def _grant(self, run: Run, want: Want, at: float) -> str:
        branch = run.agent.grant(want.key, at + run.shift)
        run.asked[branch] = (want.server_id, at)
        self.tally.left(want.server_id)
        return branch

    def postpone(self, run: Run, want: Want, until: float) -> None:
        """Its turn lies beyond the lease: the agent comes again at `until`."""
        self.turn(run, run.agent.postpone, want.key, until, run.now())

    def pause(self, run: Run, want: Want, until: float) -> None:
        """The server asked to be left alone: the agent goes elsewhere, or waits."""
        if run.is_turning:
            run.is_stirred = True
            run.agent.pause(want.key, until, run.now())
        else:
            self.turn(run, run.agent.pause, want.key, until, run.now())

    def _finish(self, run: Run) -> None:
        result = run.agent.result()
        self._end(run, heard=result.heard, is_calm=is_calm(run.claimed, result))
        self._results.add(Finished(run.claimed, result, run.now()))

    def _drop(self, run: Run, why: str) -> None:
        # A worker that was stopped drops all it had: told by numbers, not line by line.
        logger.debug("registration %s dropped: %s", run.claimed.registration_id, why)
        self._dropped[why] += 1
        counters.LEASES_LOST.add(why)
        self._end(run, why)

    def _tell_of_drops(self) -> None:
        for why, times in self._dropped.items():
            logger.warning("%d handsets dropped: %s", times, why)
        self._dropped.clear()

    def _end(
        self, run: Run, note: str = "", heard: tuple[Heard, ...] = (), is_calm: bool = False
    ) -> None:
        """Forget a run; `note` says why it has no end of its own."""
        run.is_over = True
        pk = run.claimed.registration_id
        self._traces.keep(pk, run.noted, heard, note, is_calm)
        self._switchboard.wake(run, None)
        for branch in self._switchboard.follow(run, ()):
            asked = run.asked.pop(branch, None)
            if asked is not None:
                self._pacer.over(asked[0], branch)
        if self._runs.get(pk) is run:
            del self._runs[pk]
            self.per_server[run.claimed.server_id] -= 1

    def _blame(self, claimed: Claimed) -> None:
        logger.exception("the agent of registration %s failed", claimed.registration_id)
        self._results.restart(claimed, time.time())
