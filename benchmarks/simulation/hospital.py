"""One site in virtual time: its handsets' agents, two workers' pacers, what the fleet knows."""

import random
from collections import deque
from functools import partial
from itertools import count
from time import perf_counter
from typing import Any

from benchmarks.simulation.clock import VirtualLoop
from benchmarks.simulation.referee import HOLDING_STATES, Findings, Record, Referee
from benchmarks.simulation.registrar import Registrar, fields_of
from benchmarks.simulation.script import BUSY_S, DEAD, OK, SILENT, Episode, Site
from registrations.agent import Agent
from registrations.keeping import Entry
from registrations.plan import Plan, Surroundings
from registrations.report import AgentResult, Want
from registrations.runtime.claimer import LEASE_S
from registrations.runtime.pacer import Pacer, Ticket
from registrations.store import Slots
from registrations.values import Account, GroupMode, HostPort, News, Target

START = 1_700_000_000.0
PROCESSES = 2
NOTICED_S = 12.0
"""When the fleet knows that a server is silent or back (see store.health)."""
SICK_AFTER, SICK_WITHIN_S = 10, 60.0


class Handset:
    """What the row of one line holds."""

    __slots__ = ("account", "due", "is_hastened", "number", "record", "result", "run")

    def __init__(self, number: int, account: Account) -> None:
        self.number = number
        self.account = account
        self.record = Record(account.aor)
        self.result: AgentResult | None = None
        self.run: Run | None = None
        self.due: Any = None
        self.is_hastened = False


class Run:
    """One claim: an agent under way."""

    __slots__ = ("agent", "branches", "handset", "is_turning", "lease_until", "timer")

    def __init__(self, handset: Handset, agent: Agent, lease_until: float) -> None:
        self.handset = handset
        self.agent = agent
        self.lease_until = lease_until
        self.branches: dict[str, int] = {}
        self.timer: Any = None
        self.is_turning = False


class Hospital:
    """Runs one site from its first second to its last."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.loop = VirtualLoop(START)
        self.referee = Referee(site, START)
        self._draw = random.Random(site.seed)  # noqa: S311 - repeatable, nothing secret
        self._tokens = count(1)
        self._next_slot: dict[int, float] = {}
        self._paused: dict[int, float] = {}
        self._silent: dict[int, float] = {}
        self._sick: set[int] = set()
        self._refusals: dict[int, deque[float]] = {}
        self.registrars = {
            server: Registrar(
                Target(server, f"10.0.0.{server + 1}", 5060, ttl=site.ttl), site.nonce_s
            )
            for server in range(site.servers)
        }
        entries = [
            Entry(server, server, True, (registrar.target,), f"Server {server + 1}")
            for server, registrar in self.registrars.items()
        ]
        around = Surroundings(
            contact_for=lambda user, target, spoken: f"sip:{user}@10.1.0.1:5060",
            sent_by_for=lambda target: "10.1.0.1:5070",
            token=lambda: f"{next(self._tokens):x}",
            jitter=self._draw.random,
        )
        self._plan = Plan(site.mode, site.policy, entries, around)
        time = self.loop.time
        self._pacers = [
            Pacer(self.loop, self._reserve, time, time)  # type: ignore[arg-type]
            for _ in range(PROCESSES)
        ]
        self.handsets = [self._handset(number) for number in range(site.handsets)]

    def live(self) -> Findings:
        """Let the whole time pass; return what the referee found."""
        began = perf_counter()
        gap = 1.0 / (self.site.policy.max_registrations_per_second or 1e9)
        for place, handset in enumerate(self.handsets):
            handset.record.off_since = START + place * gap
            self._due(handset, START + place * gap)
        for episode in self.site.episodes:
            self.loop.call_at(START + episode.start, self._begin, episode)
            self.loop.call_at(START + episode.end, self._end, episode)
        end = START + self.site.hours * 3600
        self.loop.run(end)
        for handset in self.handsets:
            if handset.record.off_since is not None:
                self.referee.moved(handset.record, end, "primary")
        self.referee.findings.seconds = perf_counter() - began
        return self.referee.findings

    def _handset(self, number: int) -> Handset:
        user = str(100_000 + number)
        return Handset(number, Account(user, "sim.example", user, "pw", f"urn:uuid:{number}"))

    # -- the script ------------------------------------------------------------------------

    def _begin(self, episode: Episode) -> None:
        self.registrars[episode.server].become(episode.mood)
        if episode.mood in (SILENT, DEAD):
            self.loop.call_at(self.loop.now + NOTICED_S, self._notice, episode.server)

    def _end(self, episode: Episode) -> None:
        self.registrars[episode.server].become(OK)
        self.loop.call_at(self.loop.now + NOTICED_S, self._notice, episode.server)

    def _notice(self, server: int) -> None:
        """The fleet's view catches up with how the server is; `fast_failover` acts on it."""
        if not self.registrars[server].is_down:
            self._silent.pop(server, None)
        elif server not in self._silent:
            self._silent[server] = self.loop.now
        if not self.site.policy.fast_failover or len(self._silent) == self.site.servers:
            return
        gap = 1.0 / self.site.policy.max_registrations_per_second
        bound = [h for h in self.handsets if h.result and h.result.server_id in self._silent]
        bound.sort(key=lambda handset: (handset.result and handset.result.expires_at) or 0.0)
        for place, handset in enumerate(bound):
            self._hasten(handset, self.loop.now + place * gap)

    def _hasten(self, handset: Handset, at: float) -> None:
        if handset.run is not None:
            handset.is_hastened = True
        elif handset.due is None or handset.due.when() > at:
            self._due(handset, at)

    def _news(self) -> News:
        paused = {self.registrars[s].source: until for s, until in self._paused.items()}
        return News(dict(self._silent), frozenset(self._sick), paused)

    # -- claims ----------------------------------------------------------------------------

    def _due(self, handset: Handset, at: float) -> None:
        if handset.due is not None:
            handset.due.cancel()
        handset.due = self.loop.call_at(at, self._claim, handset)

    def _claim(self, handset: Handset) -> None:
        now = self.loop.now
        handset.due = None
        kept = handset.result.snapshot if handset.result else {}
        agent = Agent(handset.account, self._plan, kept, cseq_offset=0)
        run = handset.run = Run(handset, agent, now + LEASE_S)
        self.referee.findings.claims += 1
        news = self._news()
        paused = [server for server, until in self._paused.items() if until > now]
        handset.record.bad.update(news.silent, news.sick, paused)
        agent.start(now, "", news)
        self._drain(run)

    def _drain(self, run: Run) -> None:
        """Do all that the agent wants now, as the runner does."""
        if run.is_turning or run.handset.run is not run:
            return
        run.is_turning = True
        agent = run.agent
        while True:
            decision = agent.decide()
            for (_, place), until in decision.pauses.items():
                self._pacer(run).pause(place, until)
            over = self._follow(run, decision.branches)
            for target, data in decision.datagrams:
                self._deliver(run, target, data)
            for want in decision.wants:
                self._ask(run, want)
            if not (decision.wants or decision.datagrams or over):
                break
        run.is_turning = False
        if decision.is_idle:
            self._finish(run)
        else:
            self._rearm(run, decision.timer)

    def _rearm(self, run: Run, timer: float | None) -> None:
        if run.timer is not None:
            run.timer.cancel()
        run.timer = None if timer is None else self.loop.call_at(timer, self._ring, run)

    def _ring(self, run: Run) -> None:
        run.timer = None
        run.agent.handle_timer(self.loop.now)
        self._drain(run)

    def _finish(self, run: Run) -> None:
        handset, result = run.handset, run.agent.result()
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None
        self._judge(handset, result)
        handset.result, handset.run = result, None
        now = self.loop.now
        due = now if handset.is_hastened else max(result.due_at, now)
        handset.is_hastened = False
        self._due(handset, due)

    def _judge(self, handset: Handset, result: AgentResult) -> None:
        before = handset.result
        for moved in result.transitions:
            self.referee.moved(handset.record, moved.at, moved.to_state)
        if before is None or before.state not in HOLDING_STATES:
            return
        if (before.expires_at or 0.0) > self.loop.now and result.state not in HOLDING_STATES:
            others = [
                heard.verdict for heard in result.heard if heard.server_id != before.server_id
            ]
            if self.site.mode is GroupMode.FAILOVER and others and set(others) == {"refused"}:
                self.referee.blame("a refusal drops no valid binding", handset.account.aor)

    # -- requests --------------------------------------------------------------------------

    def _pacer(self, run: Run) -> Pacer:
        return self._pacers[run.handset.number % PROCESSES]

    def _ask(self, run: Run, want: Want) -> None:
        self._pacer(run).ask(
            Ticket(
                server_id=want.server_id,
                place=want.target.host_port,
                rate=float(self.site.policy.max_registrations_per_second),
                is_retry=want.is_retry,
                lease_until=run.lease_until,
                use=partial(self._use, run, want),
                postpone=partial(self._send_away, run, run.agent.postpone, want),
                pause=partial(self._turn_away, run, want),
                is_void=lambda: run.handset.run is not run,
            )
        )

    def _use(self, run: Run, want: Want) -> str | None:
        now = self.loop.now
        if run.lease_until - 1.0 <= now:
            # The runner extends leases while it works; who only waits is sent away before.
            run.lease_until = now + LEASE_S
        branch = run.agent.grant(want.key, now)
        self.referee.left(want.server_id, now)
        run.branches[branch] = want.server_id
        self._drain(run)
        return branch if branch in run.branches else None

    def _turn_away(self, run: Run, want: Want, until: float) -> None:
        """Somebody else heard the server's 503 while this one waited for its permit."""
        run.handset.record.bad.add(want.server_id)
        self._send_away(run, run.agent.pause, want, until)

    def _send_away(self, run: Run, action: Any, want: Want, until: float) -> None:
        action(want.key, until, self.loop.now)
        self._drain(run)

    def _follow(self, run: Run, under_way: tuple[str, ...]) -> bool:
        """Tell the pacer of the transactions that have ended."""
        over = [branch for branch in run.branches if branch not in under_way]
        for branch in over:
            self._pacer(run).over(run.branches.pop(branch), branch)
        return bool(over)

    def _deliver(self, run: Run, target: Target, data: bytes) -> None:
        now, record, registrar = (
            self.loop.now,
            run.handset.record,
            self.registrars[target.server_id],
        )
        fields = fields_of(data)
        self.referee.request(record, target.server_id, fields, now)
        if registrar.is_down:
            self.referee.answered(record, target.server_id, 0, now, binds=False)
            if registrar.mood == DEAD:
                run.agent.transport_failed(target, None, "port unreachable", now)
            return
        code, answer = registrar.answer(fields, now)
        self._learn(record, target.server_id, code, now)
        binds = "Contact" in fields
        self.referee.answered(record, target.server_id, code, now, binds=binds)
        run.agent.receive(answer, registrar.source, now)

    def _learn(self, record: Record, server: int, code: int, now: float) -> None:
        """What one answer tells the whole fleet."""
        if code == 503:
            record.hush[server] = self._paused[server] = now + BUSY_S
        elif code == 403:
            recent = self._refusals.setdefault(server, deque(maxlen=SICK_AFTER))
            recent.append(now)
            if len(recent) == SICK_AFTER and now - recent[0] <= SICK_WITHIN_S:
                self._sick.add(server)
        elif code == 200:
            self._sick.discard(server)

    async def _reserve(
        self,
        server: int,
        place: HostPort,
        n: int,
        rate: float,
        not_after: float,
        not_before: float,
    ) -> Slots:
        """The arithmetic of `store.reserve` on a row that is a number here."""
        now, paused = not_before, self._paused.get(server, 0.0)
        first = max(now, self._next_slot.get(server, 0.0), paused)
        if first > not_after or paused > now:
            return Slots(first, False, paused)
        self._next_slot[server] = first + n / rate
        return Slots(first, True, paused)
