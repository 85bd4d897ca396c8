"""One line's agent: its bindings, each with its redundancy machine and its REGISTER client.

Sans-I/O: it is fed bytes, times and permits; what it wants then it says by `decide`. A runner
claims the line's row, calls `start`, drives the agent until it is idle, then saves `result()`.
"""

import math
from collections.abc import Mapping
from typing import Any

from registrations.binding import HOLDING, Phase
from registrations.course import Course
from registrations.errands import ERRANDS, Errand, keep_back, let_go
from registrations.keeping import known
from registrations.plan import Plan
from registrations.report import (
    AgentResult,
    Decision,
    Heard,
    Learnt,
    Moved,
    Standing,
    Want,
    WishResult,
)
from registrations.resuming import retimed
from registrations.sip import message
from registrations.sip.errors import SipParseError
from registrations.values import QUIET, Account, News, Outcome, Target

__all__ = ["Agent", "AgentResult", "Decision", "Heard", "Moved", "Want", "WishResult"]

PRIMARY, SECONDARY, FALLBACK = "primary", "secondary", "fallback"
REGISTERING, UNREGISTERED, REJECTED, UNKNOWN = "registering", "unregistered", "rejected", "unknown"
HELD = "held"
HOLDING_STATES = frozenset({PRIMARY, SECONDARY, FALLBACK})
LEAVING = frozenset({"failover", "fallback", "lost", "refused"})
"""Causes of a change that a server brought about which held the line no longer."""
FIRST_PHASES = frozenset({Phase.IDLE, Phase.SEEKING})
"""Of a binding of which it is not known yet whether any server takes it."""
LONGEST_REASON = 300
ON_TIME_S = 10.0
"""A row that is claimed so soon after its time was watched."""


class Agent:
    """Drives all bindings of one line. Times are Unix seconds, always given by the caller.

    `plan` is its group's. `cseq_offset` is what a lost lease may have used up (R16).
    """

    _wish = ""
    _errand: Errand | None = None

    def __init__(
        self, account: Account, plan: Plan, snapshot: Mapping[str, Any], cseq_offset: int
    ) -> None:
        self._aor = account.aor
        kept = snapshot if snapshot.get("aor") == self._aor else {}
        standing = snapshot.get("standing")
        self._standing = Standing(**known(Standing, standing)) if standing else Standing()
        self._learnt = Learnt()
        courses = kept.get("courses", {})
        self._courses = [
            Course(roster, plan, account, courses.get(roster.key, {}), cseq_offset)
            for roster in plan.rosters
        ]

    def start(self, now: float, wish: str = "", news: News = QUIET) -> None:
        """Do whatever is due, knowing what the fleet knows of the servers.

        `wish` is the operator's: one of `errands`, 'resume', 'override' (bind although somebody
        else is bound) or ''.
        """
        self._wish = wish
        self._take_up(now, news.clock_set)
        if wish in ("resume", "override"):
            for course in self._courses:
                course.resume(now, override=wish == "override")
        if not news.is_quiet:
            for course in self._courses:
                course.hear(news, now)
            keep_back(self._courses, news, now)
        if wish in ERRANDS:
            self._set_out(wish, news, now)
        for course in self._courses:
            self._settle(course, now)

    def decide(self) -> Decision:
        """Return what the agent wants now, all its bindings together."""
        decision = Decision(self._learnt.pauses)
        for course in self._courses:
            course.say(decision)
        if not decision.is_idle and len(self._courses) > 1:
            for course in self._courses:
                course.say_when_due(decision)
        return decision

    def grant(self, key: str, now: float) -> str:
        """Let the request of that binding leave; return its branch."""
        course = self._course(key)
        course.asked = False
        return course.client.grant(now)

    def postpone(self, key: str, until: float, now: float) -> None:
        """The permit lies beyond the lease: forget this attempt, the line is due at `until`."""
        course = self._course(key)
        course.asked = False
        course.client.abandon()
        course.not_before = until

    def pause(self, key: str, until: float, now: float) -> None:
        """The target of that binding's waiting request asked to be left alone until `until`."""
        course = self._course(key)
        course.asked = False
        course.pause(until, now)
        self._settle(course, now)

    def receive(self, data: bytes, source: tuple[str, int], now: float) -> None:
        """Take one datagram. What is not the answer to a request in flight changes nothing."""
        try:
            answer = message.parse(data)
        except SipParseError:
            return
        if not isinstance(answer, message.Response):
            return
        for course in self._courses:
            target = course.client.target
            if target is not None and (target.address, target.port) == source:
                course.client.receive(answer, now)
                self._settle(course, now)

    def transport_failed(self, target: Target, branch: str | None, why: str, now: float) -> None:
        """The request of `branch`, or any to the place of `target`, could not be delivered."""
        for course in self._courses:
            client = course.client
            if client.target is None or client.target.place != target.place:
                continue
            if client.branch and branch in (None, client.branch):
                client.transport_failed(why, now)
                self._settle(course, now)

    def handle_timer(self, now: float) -> None:
        """Run every transaction timer that is due."""
        for course in self._courses:
            course.client.handle_timer(now)
            self._settle(course, now)

    @property
    def is_idle(self) -> bool:
        """Nothing is in flight and nothing is wanted: save `result()`."""
        for course in self._courses:  # noqa: SIM110 - asked at every turn: a generator costs more
            if not course.is_idle:
                return False
        return True

    def result(self) -> AgentResult:
        """Return what to save. Call it when the agent `is_idle`."""
        standing, learnt, holder = self._standing, self._learnt, self._holder()
        if holder is None:
            let_go(self._courses)
        assumed = holder.assumed_target() if holder else None
        if standing.state == UNKNOWN:
            self._move(
                standing.since, REGISTERING, None, "gap", "Waits for its turn to register.", None
            )
            standing = self._standing
        due_at, attempt = math.inf, 0
        for course in self._courses:
            due_at, attempt = min(due_at, course.due_at()), max(attempt, course.attempts)
        return AgentResult(
            state=standing.state,
            server_id=standing.server_id,
            since=standing.since,
            reason=standing.reason,
            cause=standing.cause,
            expires_at=holder.binding.expires_at if holder else None,
            due_at=due_at,
            attempt=attempt,
            code=learnt.code,
            answer=learnt.answer,
            heard_at=learnt.heard_at,
            renewed=learnt.renewed,
            snapshot=self._snapshot(),
            transitions=learnt.moves,
            wish_result=self._errand.result if self._errand else None,
            heard=learnt.heard,
            assumed_server_id=assumed.server_id if assumed else None,
        )

    def _snapshot(self) -> dict[str, Any]:
        standing = self._standing
        return {
            "aor": self._aor,
            "standing": {
                "state": standing.state,
                "server_id": standing.server_id,
                "since": standing.since,
                "reason": standing.reason,
                "cause": standing.cause,
            },
            "courses": {course.key: course.snapshot() for course in self._courses},
        }

    def _take_up(self, now: float, clock_set: float) -> None:
        """Find out what time has made of what was kept."""
        if not self._standing.since:
            self._standing.since = now
        if clock_set:
            for course in self._courses:
                course.not_before = 0.0
                course.binding = retimed(course.binding, clock_set, now)
        lapsed = [at for course in self._courses if (at := course.lapse(now))]
        if lapsed and self._standing.state in HOLDING_STATES and not self._holder():
            self._lapse(min(lapsed), now)
        self._stand(now)

    def _settle(self, course: Course, now: float) -> None:
        """Carry one binding as far as it goes without the network."""
        while True:
            outcome = course.take_outcome(now)
            if outcome is None:
                if course.binding.phase is Phase.WAITING:
                    # Nobody could be asked: no name resolved, or all are paused.
                    self._stand(now, course)
                return
            errand = self._errand if self._errand and self._errand.is_about(course) else None
            is_renewal = course.binding.phase is Phase.RENEWING
            self._learnt.take(course.asked_target(), outcome, is_renewal=is_renewal)
            if not course.conclude(outcome, now):
                continue
            self._stand(now, course, outcome)
            if errand is not None:
                errand.conclude(outcome, now)

    def _lapse(self, at: float, now: float) -> None:
        """Its binding ran out at `at`: because no server may be asked, or nobody was there to."""
        if now - at <= ON_TIME_S:
            why = "Its registration ran out before a server may be asked again."
            self._move(at, UNREGISTERED, None, "lost", why, None)
        else:
            self._move(at, UNKNOWN, None, "gap", "Its binding ran out unwatched.", None)

    def _set_out(self, wish: str, news: News, now: float) -> None:
        errand = self._errand = Errand(wish, self._courses, news)
        left = errand.begin(now)
        if left is not None:
            self._stand(now, left)
            errand.given_up()

    def _course(self, key: str) -> Course:
        for course in self._courses:
            if course.key == key:
                return course
        raise KeyError(key)

    def _holder(self) -> Course | None:
        """Return the binding of the working server: the first that holds one (redundancy 1.3)."""
        for course in self._courses:
            if course.binding.phase in HOLDING:
                return course
        return None

    def _stand(
        self, now: float, course: Course | None = None, outcome: Outcome | None = None
    ) -> None:
        """Compare what the bindings say with what was shown, and record a change of it."""
        state, server_id = self._where()
        standing = self._standing
        if state == standing.state and server_id == standing.server_id:
            if course is not None and outcome is not None and state not in HOLDING_STATES:
                standing.reason = course.story()[:LONGEST_REASON]
            return
        if course is None:
            self._move(now, state, server_id, "changed", "Its server group was changed.", None)
            return
        seconds = now - course.round_started_at
        code = outcome.code if outcome is not None else None
        cause = self._cause(state)
        detect = course.unnoticed_s if cause in LEAVING else None
        self._move(now, state, server_id, cause, course.story(), seconds, code, detect)

    def _where(self) -> tuple[str, int | None]:
        holder = self._holder()
        if holder is not None:
            server_id = holder.current_target().server_id
            if holder is not self._courses[0]:
                return FALLBACK, server_id
            # Another place of a fallback group's first entry lacks nothing: it is no fallback.
            return (SECONDARY if holder.binding.current else PRIMARY), server_id
        phases = {course.binding.phase for course in self._courses}
        if Phase.HELD in phases:
            return HELD, None
        if phases == {Phase.REFUSED}:
            return REJECTED, None
        if phases <= FIRST_PHASES or self._fallbacks_pending(phases):
            kept = self._standing.state
            return (REGISTERING if kept in HOLDING_STATES else kept), None
        return UNREGISTERED, None

    def _fallbacks_pending(self, phases: set[Phase]) -> bool:
        """First round of a fallback group: one entry failed, another is still being asked."""
        return self._standing.state == REGISTERING and bool(phases & FIRST_PHASES)

    def _cause(self, state: str) -> str:
        before = self._standing
        if state == REJECTED:
            return "refused"
        if state == HELD:
            return "held"
        if state not in HOLDING_STATES:
            return "lost"
        if before.state == HELD and self._wish == "override":
            return "overridden"
        if before.state == REGISTERING and before.cause == "first":
            return "first"
        if before.state not in HOLDING_STATES:
            return "restored"
        if self._errand is not None and (cause := self._errand.cause(state == PRIMARY)):
            return cause
        if state == PRIMARY:
            return "failback"
        return "failover" if state == SECONDARY else "fallback"

    def _move(
        self,
        at: float,
        state: str,
        server_id: int | None,
        cause: str,
        reason: str,
        seconds: float | None,
        code: int | None = None,
        detect_seconds: float | None = None,
    ) -> None:
        standing = self._standing
        reason = reason[:LONGEST_REASON]
        moved = Moved(
            at=at,
            from_state=standing.state,
            from_server_id=standing.server_id,
            to_state=state,
            to_server_id=server_id,
            cause=cause,
            code=code,
            reason=reason,
            seconds=seconds,
            detect_seconds=detect_seconds,
        )
        self._learnt.moves += (moved,)
        self._standing = Standing(state, server_id, at, reason, cause)
