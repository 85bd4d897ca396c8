"""One line's agent on a stage where anything may happen, and a critic who knows the rules.

A script is a list of acts: moods of the servers, news, operators, crashes, jumps of the clock.
Whatever it says, the invariants must hold; `Theatre` raises AssertionError where one does not.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from registrations.agent import Agent
from registrations.report import AgentResult
from registrations.values import GroupMode, HostPort, News, Target
from tests.support.virtual import World, header, place

HOLDING = {"primary", "secondary", "fallback"}
STATES = HOLDING | {"registering", "unregistered", "rejected", "unknown", "held"}
MOODS = (
    *("ok", "ok", "ok", "silent", "dead", "deaf", "dup", "late", "no time"),
    *("401 Unauthorized", "403 Forbidden", "404 Not Found", "500 Oops", "503 Busy", "503 later"),
    *("408 Timeout", "423 Brief", "302 Moved", "603 Decline", "100 Trying"),
)
RETRY_AFTER_S = 90
MOST_TURNS = 500


@dataclass
class Theatre(World):
    """The world of one line, with everything that can go wrong in it."""

    cseq: dict[str, int] = field(default_factory=dict)
    bad: set[int] = field(default_factory=set)
    """Servers that did not take it since it was bound last, or were known not to."""
    hush: dict[int, float] = field(default_factory=dict)
    """Until when a server asked this line to leave it alone."""
    told: dict[HostPort, float] = field(default_factory=dict)
    """The same as all workers know it: it outlives what an agent forgets."""
    bound_at: int | None = None
    wish: str = ""
    delayed: list[tuple[Target, bytes]] = field(default_factory=list)
    """Answers that are still on their way."""

    # -- acts ------------------------------------------------------------------------------

    def play(self, act: Sequence[Any]) -> None:
        """Do one act of a script."""
        getattr(self, f"act_{act[0]}")(*act[1:])

    def act_mood(self, number: int, mood: str) -> None:
        self.registrars[number % self.servers].mood = mood

    def act_wait(self) -> None:
        due = self.result.due_at if self.result else self.now
        self.now = max(self.now, due)
        self.perform()

    def act_early(self, seconds: float, wish: str) -> None:
        self.now += seconds
        self.perform(wish)

    def act_jump(self, seconds: float) -> None:
        self.now += seconds

    def act_forget(self, number: int) -> None:
        self.registrars[number % self.servers].bindings.clear()

    def act_foreign(self, number: int, there: bool) -> None:
        self.registrars[number % self.servers].foreign = "sip:4101@192.0.2.7" if there else ""

    def act_news(self, silent: set[int], sick: set[int], paused: set[int]) -> None:
        until = self.now + RETRY_AFTER_S
        pauses = {place(number): until for number in paused}
        self.news = News(dict.fromkeys(silent, self.now), frozenset(sick), pauses)

    def act_window(self, drained: set[int], stays_s: float) -> None:
        """Servers are drained, or it is an hour in which nothing fails back."""
        until = self.now + 600
        self.news = replace(
            self.news, drained={n: until for n in drained}, stays_until=self.now + stays_s
        )

    def act_names(self, unresolved: int) -> None:
        """DNS does not answer for one server (0: for all it does)."""
        entries = [
            replace(entry, unresolved="Its name is not known.", targets=())
            if entry.server_id == unresolved
            else entry
            for entry in self.one_each()
        ]
        self.entries = tuple(entries)

    def act_crash(self, turns: int) -> None:
        """A worker dies after so many turns: what it did is not saved, only its numbers are."""
        hush = dict(self.hush)
        agent = self._started("")
        for _ in range(turns):
            if not agent.is_idle:
                self.turn(agent)
        self.lease_gap += 100
        # What a server asked of a worker that died before it saved, nobody knows.
        self.hush = hush
        if self.result is None:
            # Nothing was ever saved: the next claim is another first boot.
            self.cseq.clear()

    def act_postpone(self, seconds: float) -> None:
        """The permits lie beyond the lease."""
        agent = self._started("")
        until = self.now + seconds
        for _ in range(MOST_TURNS):
            if agent.is_idle:
                break
            self.ask(agent)
            for want in self.wants:
                agent.postpone(want.key, until, self.now)
            self.wants = []
            if not agent.is_idle:
                self.turn(agent)
        self._save(agent.result())

    # -- one claim -------------------------------------------------------------------------

    def perform(self, wish: str = "") -> AgentResult:
        """Claim, drive to rest, check, save."""
        before, began = self.result, self.now
        agent = self._started(wish)
        for _ in range(MOST_TURNS):
            if agent.is_idle:
                break
            self.turn(agent)
        assert agent.is_idle, "an agent comes to rest"
        result = agent.result()
        self._judge(before, result, began)
        self._save(result)
        return result

    def _started(self, wish: str) -> Agent:
        self.wish = wish
        if wish:
            # An operator's word outweighs what a server asked for.
            self.hush.clear()
            self.told.clear()
        agent = self.agent()
        news = replace(self.news, paused={**self.news.paused, **self.told})
        asleep = {at for at, until in news.paused.items() if until > self.now}
        paused = {n for n in range(1, self.servers + 1) if place(n) in asleep}
        self.bad |= news.silent.keys() | news.sick | paused
        self.bad |= {entry.server_id for entry in self.entries or () if entry.unresolved}
        if self._has_run_out():
            # Who begins anew passes over a server that is being emptied; who is bound stays.
            self.bad |= {n for n, until in news.drained.items() if until > self.now}
        agent.start(self.now, wish, news)
        return agent

    def _has_run_out(self) -> bool:
        return self.result is None or (self.result.expires_at or 0.0) <= self.now

    def _save(self, result: AgentResult) -> None:
        self.result, self.snapshot = result, json.loads(json.dumps(result.snapshot))
        self.lease_gap = 0

    def turn(self, agent: Agent) -> None:
        """Let the agent take one step, and the network with it."""
        self._step(agent)
        self.told |= {at: until for (_, at), until in self.ask(agent).pauses.items()}

    def _step(self, agent: Agent) -> None:
        sent, timer = self.grant(agent)
        branches = self.ask(agent).branches
        assert len(branches) <= (1 if self.mode is GroupMode.FAILOVER else self.servers)
        for target, data in sent:
            self._carry(agent, target, data)
        if not sent:
            late, self.delayed = self.delayed, []
            for target, data in late:
                agent.receive(data, (target.address, target.port), self.now)
            if late:
                return
            if timer is not None:
                self.now = max(self.now, timer)
                agent.handle_timer(self.now)

    def _carry(self, agent: Agent, target: Target, data: bytes) -> None:
        registrar = next(r for r in self.registrars if r.target.place == target.place)
        number, mood = target.server_id, registrar.mood
        self._watch(number, data)
        if mood == "dead":
            self.bad.add(number)
            agent.transport_failed(target, None, "port unreachable", self.now)
            return
        answer = self._answer(registrar, data)
        bound = answer is not None and b" 200 " in answer[:16] and b"\r\nContact: " in data
        if mood in ("silent", "deaf", "late"):
            self.bad.add(number)
        if mood == "late" and answer is not None:
            self.delayed.append((target, answer))
        if answer is None or mood in ("deaf", "late"):
            return
        if bound and mood != "no time":
            self._bound(number)
        elif b" 401 " not in answer[:16] or mood.startswith("401"):
            self.bad.add(number)
        for _ in range(2 if mood == "dup" else 1):
            agent.receive(_elsewhere(answer), (target.address, target.port), self.now)
            agent.receive(answer, (target.address, target.port), self.now)

    def _answer(self, registrar: Any, data: bytes) -> bytes | None:
        """Answer as the mood has it; `deaf`: the server takes it but its answers are lost."""
        mood, registrar.extra = registrar.mood, ""
        kept = registrar.grants
        if mood == "503 later":
            registrar.extra = f"Retry-After: {RETRY_AFTER_S}\r\n"
            self.hush[registrar.target.server_id] = self.now + RETRY_AFTER_S
        if mood in ("deaf", "late", "dup", "no time"):
            registrar.mood = "ok"
        if mood == "no time":
            registrar.grants = 0
        answer: bytes | None = registrar.answer(data, self.now)
        registrar.mood, registrar.grants = mood, kept
        return answer

    # -- the critic ------------------------------------------------------------------------

    def _watch(self, number: int, data: bytes) -> None:
        call_id, cseq = header(data, "Call-ID"), int(header(data, "CSeq").split()[0])
        before = self.cseq.get(call_id, 0)
        assert cseq >= before, "CSeq only grows"
        if cseq > before:
            silenced = self.hush.get(number, 0.0) > self.now and self.wish == ""
            assert not silenced, "nothing is sent to a server before its Retry-After"
        self.cseq[call_id] = cseq
        assert header(data, "Expires") != "0", "no binding is ever removed"
        assert not re.search(rb"(?im)^contact:\s*\*", data), "nobody else's binding is removed"
        if self.mode is GroupMode.FAILOVER:
            assert len(self.cseq) == 1, "one Call-ID for all servers of a failover group"

    def _bound(self, number: int) -> None:
        before, self.bound_at = self.bound_at, number
        order = [entry.server_id for entry in self.entries or self.one_each()]
        if self.mode is GroupMode.FAILOVER and before in order and before != number:
            goes_back = order.index(number) < order.index(before)
            why = f"on {number} although {before} was not found wanting"
            assert goes_back or before in self.bad or self.wish, why
            # What has run out cannot stay: that line begins anew, at its primary.
            is_held = self.news.stays_until > self.now and not self._has_run_out()
            assert before in self.bad or self.wish or not is_held, "it went back although held"
        self.bad.clear()
        for registrar in self.registrars:
            assert len(registrar.bindings) <= 1, "no server holds two Contacts of one line"

    def _judge(self, before: AgentResult | None, after: AgentResult, began: float) -> None:
        assert after.state in STATES
        assert (after.server_id is not None) == (after.state in HOLDING)
        assert (after.expires_at is not None) == (after.state in HOLDING)
        assert after.reason or after.state == "registering", "every state says why"
        longest = 7200.0 + 3600.0
        assert after.due_at <= self.now + longest, "never given up silently"
        states = [(m.from_state, m.from_server_id) for m in after.transitions]
        goals = [(m.to_state, m.to_server_id) for m in after.transitions]
        assert all(one != other for one, other in zip(states, goals, strict=True))
        if goals:
            assert goals[-1] == (after.state, after.server_id)
        self._judge_refusals(before, after, began)

    def _judge_refusals(self, before: AgentResult | None, after: AgentResult, began: float) -> None:
        """A refusal elsewhere never drops a valid binding."""
        if before is None or before.state not in HOLDING or after.state in HOLDING:
            return
        known = {entry.server_id for entry in self.entries or self.one_each() if entry.targets}
        if (before.expires_at or 0.0) <= self.now or before.server_id not in known:
            return
        asked = {heard.server_id: heard.verdict for heard in after.heard}
        others = [verdict for number, verdict in asked.items() if number != before.server_id]
        if before.server_id not in asked and others:
            raise AssertionError(f"a valid binding was dropped by {others}, its server not asked")


def _elsewhere(answer: bytes) -> bytes:
    """The same answer to somebody else's request."""
    return answer.replace(b"branch=z9hG4bK", b"branch=z9hG4bKx")


def recovered(theatre: Theatre) -> float:
    """Make every server well and return how long the line took to be bound again.

    Raises AssertionError where it is not found in bounded time.
    """
    for registrar in theatre.registrars:
        registrar.mood, registrar.foreign = "ok", ""
    theatre.news = News()
    theatre.entries = None
    began = theatre.now
    for _ in range(12):
        theatre.act_wait()
        assert theatre.result is not None
        if theatre.result.state in HOLDING:
            return theatre.now - began
    raise AssertionError(f"still {theatre.result} after {theatre.now - began:.0f} s")
