"""One binding under way: its redundancy machine joined to its REGISTER client.

Turns the machine's tries into attempts of the client, the client's outcomes into the machine's
events, and keeps the story of the round in words. Before the very first binding it asks who is
bound (R14): a foreign Contact holds it back.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from registrations.binding import (
    HOLDING,
    RESTING,
    Binding,
    Event,
    EventKind,
    Phase,
    Try,
)
from registrations.intervals import RENEWAL_MARGIN_S
from registrations.judging import event_of, naming, told, translated
from registrations.keeping import kept_binding, kept_targets, restored, targets_of
from registrations.plan import Plan, Roster
from registrations.redundancy import due_at, is_last, step
from registrations.report import Decision, Want
from registrations.resuming import elsewhere, resumed
from registrations.sip.register import Attempt, RegisterClient
from registrations.sip.timers import rfc3261_schedule
from registrations.values import (
    QUIET,
    Account,
    GroupMode,
    News,
    Outcome,
    Target,
    Verdict,
)

CLAIM_S = 30.0
"""How long a line's bindings begin new rounds in one claim, while others of it are under way."""
NEWS_LASTS_S = 60.0
"""How long, at most, a server known to be silent or sick is passed over without asking again."""
_DUE = Event(EventKind.DUE)


class Course:
    """One binding of one line: machine, client and what is said about them."""

    kept_away_until = 0.0
    """Until when a lower entry works for it; known anew at each claim."""
    unnoticed_s: float | None = None
    """How long before this round the server that holds it last took it; None if none does."""
    asked = False
    """The permit its request needs was asked for."""
    round_started_at = 0.0
    _mishap: Outcome | None = None
    _news = QUIET
    _is_asking = False
    _looked_at: float | None = None
    """When it was seen last what is due."""
    _begins_until = math.inf

    def __init__(
        self,
        roster: Roster,
        plan: Plan,
        account: Account,
        kept: Mapping[str, Any],
        cseq_offset: int,
    ) -> None:
        self.key = roster.key
        self.not_before = float(kept.get("not_before", 0.0))
        self._account = account
        self._plan = plan
        self._policy = plan.policy
        self._roster = roster
        self._is_as_planned = kept.get("targets", roster.kept) == roster.kept
        """Its targets are those of its group, as for nearly all lines they are."""
        if self._is_as_planned:
            self.targets, self._rules = roster.targets, roster.rules
        else:
            self.targets = targets_of(roster.entries, kept)
            self._rules = plan.rules_for(self.targets)
        self._told: list[str] = []
        self._answers: dict[str, Any] = dict(kept.get("answers", {}))
        self.binding = restored(kept, self.targets, have_moved=not self._is_as_planned)
        self._is_cleared = bool(kept.get("is_cleared")) or self.binding.phase in HOLDING
        self.client = RegisterClient(
            account,
            token=plan.around.token,
            cseq_offset=cseq_offset,
            snapshot=kept.get("client"),
            allow_md5=not plan.policy.refuse_md5,
        )

    @property
    def is_idle(self) -> bool:
        """Nothing of this binding is in flight or waits for a permit."""
        return self.client.flight is None and self._mishap is None

    @property
    def attempts(self) -> int:
        """Rounds in a row that brought no binding."""
        return self.binding.failures + self.binding.refusals

    def say(self, decision: Decision) -> None:
        """Add what this binding wants now to what its line wants."""
        flight = self.client.flight
        if flight is None:
            return
        decision.is_idle = False
        transaction, target = flight.transaction, flight.wire
        if transaction is not None:
            decision.branches += (transaction.key.branch,)
            for data in transaction.datagrams_to_send():
                decision.datagrams += ((target, data),)
            decision.wake_by(transaction.get_timer())
        elif not self.asked:
            self.asked = True
            is_retry = flight.sent > 0
            decision.wants += (Want(target.server_id, target, is_retry, self.key),)

    def say_when_due(self, decision: Decision) -> None:
        """Have it looked at when its own time comes while another binding's request is out."""
        if self.client.flight is None:
            due = self.due_at()
            is_news = self._looked_at is None or due > self._looked_at
            if is_news and self._may_begin(due):
                decision.wake_by(due)

    def due_at(self) -> float:
        """When the line must be claimed for this binding's sake."""
        not_before = max(self.not_before, self.kept_away_until)
        due = due_at(self.binding, self._rules)
        return not_before if due is None else max(due, not_before)

    def lapse(self, now: float) -> float | None:
        """Give up a binding that ran out while nobody looked; return when that was."""
        if (binding := self.binding).phase not in HOLDING or binding.expires_at > now:
            return None
        self.binding = Binding(blocked=binding.blocked, refusals=binding.refusals)
        return binding.expires_at

    def resume(self, now: float, *, override: bool = False) -> None:
        """Forget refusals and back-off: an operator or an edit asks for a new try now.

        `override` binds although somebody else is bound there (audited by whoever set the wish).
        """
        self.not_before = 0.0
        self._is_cleared = self._is_cleared or override
        last = self._answers.get(str(self.targets[0].server_id), {}) if self.targets else {}
        was_refused = last.get("verdict") == Verdict.REFUSED
        self.binding = resumed(self.binding, self._rules, now, was_refused_at_home=was_refused)

    def hear(self, news: News, now: float) -> None:
        """Take what the fleet knows of the servers, before anything is begun.

        A paused target is left alone. Only `fast_failover` groups act on silence; the others
        emulate the handset, which finds out by itself.
        """
        self._news = news
        self._rules = told(self._rules, self.targets, news, now)
        blocked = dict(self.binding.blocked)
        for index, target in enumerate(self.targets):
            if (until := news.paused.get(target.host_port, 0.0)) > now:
                blocked[index] = max(blocked.get(index, 0.0), until)
        wait = NEWS_LASTS_S * (0.5 + 0.5 * self._rules.jitter())
        for index in self._passed_over():
            if blocked.get(index, 0.0) <= now:
                blocked[index] = now + wait
        if blocked != self.binding.blocked:
            self.binding = replace(self.binding, blocked=blocked)
        if self._holder_is_silent() and self._policy.fast_failover:
            self._leave_silent_server(now)

    def assumed_target(self) -> Target | None:
        """Where calls go without a registration there: `re_register_on` off, holder silent."""
        if self._plan.mode is not GroupMode.FAILOVER or self._policy.re_register_on:
            return None
        if not (self._policy.fast_failover and self._holder_is_silent()):
            return None
        return next((t for t in self.targets if t.server_id not in self._news.silent), None)

    def come_home(self, now: float) -> None:
        """Try the primary now, whatever its health."""
        self.not_before = self.kept_away_until = 0.0
        self.client.abandon()
        self._take(Event(EventKind.HOME), now)

    def go_away(self, index: int, now: float) -> None:
        """Try that target now; it stays where it is bound until that takes it."""
        self.not_before = 0.0
        self.client.abandon()
        self._take(Event(EventKind.AWAY, index=index), now)

    def places(self, now: float) -> list[int]:
        """Return where it may go instead, in order: neither drained nor to be left alone."""
        return elsewhere(self.binding, self._rules, now)

    def rest(self, until: float, now: float) -> None:
        """Let its binding run out, and register again after `until`: another entry works."""
        self.round_started_at = now
        self._told = [f"{self.label(self.current_target())} was left by an order."]
        self.binding = Binding()
        self.kept_away_until = until

    def pause(self, until: float, now: float) -> None:
        """The target asked others to leave it alone: as if it had said so to this line."""
        self.client.abandon()
        left = max(1, math.ceil(until - now))
        sentence = f"The server asked to be left alone for {left} s more."
        self._mishap = Outcome(Verdict.BUSY, now, now, sentence=sentence, retry_after=left)

    def take_outcome(self, now: float) -> Outcome | None:
        """Return the outcome of the attempt that is over; if none is, begin what is due."""
        mishap, self._mishap = self._mishap, None
        outcome = mishap or self.client.outcome()
        if outcome is None and self.client.flight is None and self._may_begin(now):
            self._begin_what_is_due(now)
            if self._looked_at is None:
                self._begins_until = now + CLAIM_S
            self._looked_at = now
            outcome, self._mishap = self._mishap, None
        return outcome

    def conclude(self, outcome: Outcome, now: float) -> bool:
        """Tell the machine what became of its try; return False where the try only goes on."""
        target, verdict = self.asked_target(), outcome.verdict
        label = self.label(target)
        self._answers[str(target.server_id)] = {
            "at": outcome.ended_at,
            "verdict": str(verdict),
            "code": outcome.code,
            "answer": outcome.answer,
            "sentence": outcome.sentence or translated(outcome),
        }
        if self._is_asking:
            self._is_asking = False
            if outcome.code is not None and outcome.code < 300 and not outcome.others:
                self._is_cleared = True
                self._begin(self._same_try(now), now)
                return False
            if self._is_held(label, outcome):
                self._answers[str(target.server_id)]["sentence"] = self._told[-1]
                self._take(Event(EventKind.FOREIGN), now)
                return True
        if verdict is Verdict.BOUND:
            self._told.append(f"{label} took the registration.")
            self._is_cleared = True
        else:
            self._told.append(naming(label, outcome.sentence, target))
        is_sick = target.server_id in self._news.sick
        kind = event_of(outcome, self._policy, is_sick=is_sick)
        self._take(Event(kind, outcome.expires or 0, outcome.retry_after), now)
        return True

    def story(self) -> str:
        """Say what happened in this round, one sentence a server."""
        told = " ".join([*self._roster.unresolved, *self._told])
        if not told and self.binding.phase is Phase.WAITING:
            return "Each of its servers is to be left alone for now, so none was asked."
        return told

    def asked_target(self) -> Target:
        """Return the target of the try under way."""
        return self.targets[self.binding.trying or 0]

    def current_target(self) -> Target:
        """Return the target that holds the binding."""
        return self.targets[self.binding.current or 0]

    def label(self, target: Target) -> str:
        """Return the name the admin gave that server, with its place where it has several."""
        label = self._roster.labels.get(target.server_id)
        if not label:
            return str(target)
        has_several = len(self.targets) > 1 and self._has_several(target.server_id)
        return f"{label} ({target})" if has_several else label

    def snapshot(self) -> dict[str, Any]:
        """Return what a later claim needs, as JSON."""
        return {
            "binding": kept_binding(self.binding),
            "targets": self._roster.kept if self._is_as_planned else kept_targets(self.targets),
            "not_before": self.not_before,
            "is_cleared": self._is_cleared,
            "answers": self._answers,
            "client": self.client.snapshot(),
        }

    # -- inside ----------------------------------------------------------------------------

    def _has_several(self, server_id: int) -> bool:
        return sum(target.server_id == server_id for target in self.targets) > 1

    def _take(self, event: Event, now: float) -> None:
        """Run the machine and begin the try it asks for."""
        if self.binding.phase in RESTING:
            self.round_started_at = now
            self._told = []
            is_bound = self.binding.phase in HOLDING
            self.unnoticed_s = max(0.0, now - self.binding.taken_at) if is_bound else None
        self.binding, wanted = step(self.binding, event, self._rules, now)
        if wanted is not None:
            self._begin(wanted, now)

    def _is_held(self, label: str, outcome: Outcome) -> bool:
        """Judge the answer to "who is bound?": somebody else, or no way to tell."""
        if outcome.code is not None and outcome.code < 300:
            others = ", ".join(contact.uri for contact in outcome.others[:3])
            self._told.append(f"{label} lists another Contact for this address: {others}.")
            return True
        if outcome.verdict is Verdict.ERROR and 400 <= (outcome.code or 0) < 500:
            self._told.append(f"{label} does not say who is bound ({outcome.answer}).")
            return True
        return False

    def _holder_is_silent(self) -> bool:
        """What the holder itself answered since, an order home's try for one, is later news."""
        is_bound, silent = self.binding.phase is Phase.BOUND, self._news.silent
        return (
            is_bound and silent.get(self.current_target().server_id, 0.0) >= self.binding.taken_at
        )

    def _leave_silent_server(self, now: float) -> None:
        if self._plan.mode is GroupMode.FALLBACK:
            self.binding = replace(self.binding, renew_at=min(self.binding.renew_at, now))
            return
        if all(target.server_id in self._news.silent for target in self.targets):
            return
        if self._policy.re_register_on:
            self._take(Event(EventKind.LEAVE), now)
            self._told.append(f"{self.label(self.current_target())} is silent.")

    def _passed_over(self) -> list[int]:
        """Return the targets not worth a try by what the fleet knows, if any other is."""
        known = set(self._news.sick) if self.binding.phase in HOLDING else set()
        if self._policy.fast_failover:
            known |= self._news.silent.keys()
        bad = [
            index
            for index, target in enumerate(self.targets)
            if target.server_id in known and index != self.binding.current
        ]
        return bad if len(bad) < len(self.targets) else []

    def _same_try(self, now: float) -> Try:
        index = self.binding.trying or 0
        return Try(index, is_last(self.binding, self._rules, index, now))

    def _may_begin(self, at: float) -> bool:
        """A claim must come to its end: after a while nothing is tried a second time in it."""
        return self.binding.phase in (Phase.BOUND, Phase.IDLE) or at <= self._begins_until

    def _begin_what_is_due(self, now: float) -> None:
        if self.not_before > now or self.kept_away_until > now:
            return
        self.not_before = 0.0
        if self.binding.phase not in RESTING:
            # Restored from a claim whose permit lay beyond its lease.
            self._begin(self._same_try(now), now)
            return
        due = due_at(self.binding, self._rules)
        if due is not None and due <= now:
            self._take(_DUE, now)

    def _begin(self, wanted: Try, now: float) -> None:
        target = self.targets[wanted.index]
        if not self.round_started_at:
            self.round_started_at = now
        around, plan = self._plan.around, self._plan
        is_end = wanted.last and self._roster.is_last_of_all
        self._is_asking = not self._is_cleared
        is_extra = self.binding.phase is Phase.RETURNING
        try:
            attempt = Attempt(
                target=target,
                sent_by=around.sent_by_for(target),
                contact=None
                if self._is_asking
                else around.contact_for(self._account.user, target, plan.spoken),
                expires=self._policy.expires,
                schedule=plan.schedule_for(target, is_last=is_end),
                stream_schedule=None if self._policy.tcp_fast_failover else rfc3261_schedule(),
                # A failback try never uses up the time the renewal where it is bound needs.
                until=self.binding.expires_at - RENEWAL_MARGIN_S if is_extra else None,
            )
        except OSError as error:
            self._mishap = Outcome(
                Verdict.UNREACHABLE, now, now, sentence=f"No way there ({error.strerror})."
            )
            return
        self.client.begin(attempt, now)
