"""One binding under way: its redundancy machine joined to its REGISTER client.

Turns the machine's tries into attempts of the client, the client's outcomes into the machine's
events, and keeps the story of the round in words.
"""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

from registrations.redundancy import (
    HOLDING,
    RESTING,
    Binding,
    Event,
    EventKind,
    Phase,
    Rules,
    Try,
    due_at,
    is_last,
    step,
)
from registrations.sip.register import Attempt, RegisterClient
from registrations.sip.timers import ladder, rfc3261_schedule
from registrations.values import Account, Outcome, Policy, Target, Verdict

_EVENT_OF: Mapping[Verdict, EventKind] = {
    Verdict.BOUND: EventKind.BOUND,
    Verdict.REFUSED: EventKind.REFUSED,
    Verdict.BUSY: EventKind.BUSY,
    Verdict.ERROR: EventKind.ERROR,
    Verdict.SILENT: EventKind.LOST,
    Verdict.UNREACHABLE: EventKind.LOST,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One configured server of a group, with the targets it stands for."""

    server_id: int
    priority: int
    register: bool
    targets: tuple[Target, ...]
    label: str = ""


class Course:
    """One binding of one line: machine, client and what is said about them."""

    def __init__(
        self,
        *,
        key: str,
        account: Account,
        policy: Policy,
        targets: tuple[Target, ...],
        labels: Mapping[int, str],
        contact_for: Callable[[Target], str],
        sent_by_for: Callable[[Target], str],
        token: Callable[[], str],
        jitter: Callable[[], float],
        kept: Mapping[str, Any],
        cseq_offset: int,
    ) -> None:
        self.key = key
        self.asked = False
        self.not_before = float(kept.get("not_before", 0.0))
        self.round_started_at = 0.0
        self._targets = targets
        self._labels = labels
        self._policy = policy
        self._contact_for = contact_for
        self._sent_by_for = sent_by_for
        self._ladder = ladder(policy.retry_max_count, policy.retry_timeout)
        self._rules = Rules(policy, len(targets), self._ladder.give_up_after, jitter)
        self._mishap: Outcome | None = None
        self._told: list[str] = []
        self.binding = _restored(kept.get("binding", {}), kept.get("targets", []), targets)
        self.client = RegisterClient(
            account, token=token, cseq_offset=cseq_offset, snapshot=kept.get("client")
        )

    @property
    def is_idle(self) -> bool:
        """Nothing of this binding is in flight or waits for a permit."""
        return not (self.client.wants_permit or self.client.branch or self._mishap)

    @property
    def attempts(self) -> int:
        """Rounds in a row that brought no binding."""
        return self.binding.failures + self.binding.refusals

    def due_at(self) -> float:
        """When the line must be claimed for this binding's sake."""
        due = due_at(self.binding, self._rules)
        return self.not_before if due is None else max(due, self.not_before)

    def lapse(self, now: float) -> float | None:
        """Give up a binding that ran out while nobody looked; return when that was."""
        binding = self.binding
        if binding.phase not in HOLDING or binding.expires_at > now:
            return None
        self.binding = Binding(blocked=binding.blocked, refusals=binding.refusals)
        return binding.expires_at

    def resume(self) -> None:
        """Forget refusals and back-off: an operator or an edit asks for a new try now."""
        self.not_before = 0.0
        if self.binding.phase in (Phase.WAITING, Phase.REFUSED):
            self.binding = Binding()

    def doubt(self, silent: Container[int], now: float) -> None:
        """Renew now if the server that holds the binding is known to be silent and others are not.

        Only in a group with `fast_failover`; the others emulate the handset, which finds out at
        its own renewal.
        """
        binding = self.binding
        if not self._policy.fast_failover or binding.phase is not Phase.BOUND:
            return
        if self.current_target().server_id not in silent:
            return
        if any(target.server_id not in silent for target in self._targets):
            self.binding = replace(binding, renew_at=min(binding.renew_at, now))

    def come_home(self, now: float) -> None:
        """Try the primary now, whatever its health."""
        self.not_before = 0.0
        self._take(Event(EventKind.HOME), now)

    def take_outcome(self, now: float) -> Outcome | None:
        """Return the outcome of the attempt that is over; if none is, begin what is due."""
        mishap, self._mishap = self._mishap, None
        outcome = mishap or self.client.outcome()
        if outcome is None and self.is_idle:
            self._begin_what_is_due(now)
            outcome, self._mishap = self._mishap, None
        return outcome

    def conclude(self, outcome: Outcome, now: float) -> None:
        """Tell the machine what became of its try."""
        label = self._label(self.asked_target())
        if outcome.verdict is Verdict.BOUND:
            self._told.append(f"{label} took the registration.")
        else:
            self._told.append(_naming(label, outcome.sentence, self.asked_target()))
        self._take(
            Event(_EVENT_OF[outcome.verdict], outcome.expires or 0, outcome.retry_after), now
        )

    def story(self) -> str:
        """Say what happened in this round, one sentence a server."""
        return " ".join(self._told)

    def asked_target(self) -> Target:
        """Return the target of the try under way."""
        return self._targets[self.binding.trying or 0]

    def current_target(self) -> Target:
        """Return the target that holds the binding."""
        return self._targets[self.binding.current or 0]

    def snapshot(self) -> dict[str, Any]:
        """Return what a later claim needs, as JSON."""
        binding = self.binding
        return {
            "binding": {
                "phase": binding.phase.value,
                "current": binding.current,
                "trying": binding.trying,
                "tried": list(binding.tried),
                "connected_at": binding.connected_at,
                "granted": binding.granted,
                "expires_at": binding.expires_at,
                "renew_at": binding.renew_at,
                "failback_at": binding.failback_at,
                "retry_at": binding.retry_at,
                "failures": binding.failures,
                "refusals": binding.refusals,
                "blocked": {str(index): until for index, until in binding.blocked.items()},
            },
            "targets": [f"{target.server_id}/{target}" for target in self._targets],
            "not_before": self.not_before,
            "client": self.client.snapshot(),
        }

    def _label(self, target: Target) -> str:
        return self._labels.get(target.server_id) or str(target)

    def _take(self, event: Event, now: float) -> None:
        if self.binding.phase in RESTING:
            self.round_started_at = now
            self._told = []
        self.binding, wanted = step(self.binding, event, self._rules, now)
        if wanted is not None:
            self._begin(wanted, now)

    def _begin_what_is_due(self, now: float) -> None:
        if self.not_before > now:
            return
        self.not_before = 0.0
        binding = self.binding
        if binding.phase not in RESTING:
            # Restored from a claim whose permit lay beyond its lease.
            index = binding.trying or 0
            self._begin(Try(index, is_last(binding, self._rules, index, now)), now)
            return
        due = due_at(binding, self._rules)
        if due is not None and due <= now:
            self._take(Event(EventKind.DUE), now)

    def _begin(self, wanted: Try, now: float) -> None:
        target = self._targets[wanted.index]
        if not self.round_started_at:
            self.round_started_at = now
        try:
            attempt = Attempt(
                target=target,
                sent_by=self._sent_by_for(target),
                contact=self._contact_for(target),
                expires=self._policy.expires,
                schedule=rfc3261_schedule() if wanted.last else self._ladder,
            )
        except OSError as error:
            self._mishap = Outcome(
                Verdict.UNREACHABLE, now, now, sentence=f"No way there ({error.strerror})."
            )
            return
        self.client.begin(attempt, now)


def _naming(label: str, sentence: str, target: Target) -> str:
    """Say a sentence about "the server" with the name the admin gave it."""
    for subject in (f"The server {target} ", "The server "):
        if sentence.startswith(subject):
            return f"{label} {sentence.removeprefix(subject)}"
    return f"{label}: {sentence}"


def _restored(
    kept: Mapping[str, Any], old_names: list[str], targets: tuple[Target, ...]
) -> Binding:
    """Bring back a binding; what pointed at a target that is gone is forgotten."""
    if not kept:
        return Binding()
    places = {f"{target.server_id}/{target}": index for index, target in enumerate(targets)}
    new_index = {old: places[name] for old, name in enumerate(old_names) if name in places}
    current, trying = new_index.get(kept["current"]), new_index.get(kept["trying"])
    binding = Binding(
        **{
            **kept,
            "phase": Phase(kept["phase"]),
            "current": current,
            "trying": trying,
            "tried": tuple(new_index[old] for old in kept["tried"] if old in new_index),
            "blocked": {
                new_index[int(old)]: until
                for old, until in kept["blocked"].items()
                if int(old) in new_index
            },
        }
    )
    if binding.phase in HOLDING and current is None:
        return Binding(blocked=binding.blocked)
    if binding.phase not in RESTING and trying is None:
        return replace(binding, phase=Phase.BOUND if current is not None else Phase.IDLE)
    return binding
