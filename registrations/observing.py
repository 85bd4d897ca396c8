"""Where a real handset is registered, judged by what its servers list of it. Nothing is bound.

What cannot be seen is not guessed: what happened between two looks, who serves a handset whose
servers share their registrations, and anything about a server that lists nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from registrations.proving import REFUSALS, Proof
from registrations.values import GroupMode, ListedContact

PRIMARY, SECONDARY, FALLBACK = "primary", "secondary", "fallback"
UNREGISTERED, REJECTED = "unregistered", "rejected"
LISTS = frozenset({Proof.PROVED, Proof.OPEN})
"""Answers that say who is bound."""
QUICK_S = 10.0
"""Between two looks at a handset that has just moved."""
RESTLESS_S = 120.0
"""How long a handset that moved is looked at so often."""
RENEWED_S = 2.0
"""A binding that lasts so much longer than it did was renewed; registrars round."""
MOST_OF_CAP = 50.0
"""Per cent of a server's cap that looks may take; they wait for their turn beyond that."""
MOST_CONTACTS = 8

FAR_LESS = 0.5
"""Of the time that was asked for: a registrar that grants less than this share shortens it."""

LATE_S = 10.0
"""By how much more than a round a look may be late and is still believed."""

UNSAID_S = 3600
"""How long a binding lasts of which the server does not say it (RFC 3261 section 10.2.1.1)."""

Contacts = tuple[tuple[str, float], ...]
"""(URI, until when in Unix seconds), the longest first."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one server last said of one line."""

    server_id: int
    priority: int
    label: str
    proof: Proof
    contacts: Contacts
    """As it last listed them."""
    asked_at: float | None
    bound_at: float | None
    """When a binding there was last seen to have been made or renewed; None: never yet."""

    @property
    def lists(self) -> bool:
        return self.proof in LISTS

    def is_late(self, every_s: float, now: float) -> bool:
        """Whether what it said is too old to tell that nobody is bound there."""
        return self.asked_at is None or now - self.asked_at > 2 * every_s + LATE_S

    def until(self, now: float) -> float | None:
        """Until when somebody is bound there; None where nobody is."""
        return max((until for _, until in self.contacts if until > now), default=None)


@dataclass(frozen=True, slots=True)
class Judged:
    """Where the handset is. `state` None: it cannot be told."""

    state: str | None
    server_id: int | None
    expires_at: float | None
    reason: str


def listed(contacts: Sequence[ListedContact], now: float) -> Contacts:
    """Return the contacts of an answer as they are kept."""
    found = [
        (each.uri[:200], now + (UNSAID_S if each.expires is None else each.expires))
        for each in contacts
    ]
    return tuple(sorted(found, key=lambda each: -each[1])[:MOST_CONTACTS])


def own_of(contacts: Sequence[ListedContact], uri: str) -> list[ListedContact]:
    """Return those that are our own agent's `uri`, for registrars that keep no `+sip.instance`."""
    place = uri.partition(";")[0].lower()
    return [each for each in contacts if each.uri.partition(";")[0].lower() == place]


def is_same(before: Contacts, after: Contacts) -> bool:
    """Whether the same are bound as before, for as long."""
    if before == after:
        return True
    known = dict(before)
    return len(known) == len(after) and all(
        is_as_long(known.get(uri), until) for uri, until in after
    )


def is_as_long(before: float | None, after: float | None) -> bool:
    """Whether a binding ends when it did, or there is none as there was none."""
    if before is None or after is None:
        return before is after
    return abs(after - before) <= RENEWED_S


def is_renewed(before: Contacts, after: Contacts) -> bool:
    """Whether a binding was made or renewed between two looks."""
    known = dict(before)
    return any(until > known.get(uri, 0.0) + RENEWED_S for uri, until in after)


def judge(
    seen: Sequence[Seen], mode: GroupMode, *, shares: bool, every_s: float, now: float
) -> Judged:
    """Say where the handset is registered. `seen` has the group's servers in order.

    That nobody holds it is said only where each of them was asked within `every_s` or little more:
    one that is spared, or silent, may hold it all the while.
    """
    holders = [each for each in seen if each.until(now) is not None]
    if holders and shares:
        return Judged(None, None, None, _shared(holders))
    if holders:
        return _held(holders, seen, mode, now)
    if seen and all(each.proof in REFUSALS for each in seen):
        return Judged(REJECTED, None, None, "Every server refuses it.")
    blind = [each.label for each in seen if not each.lists]
    late = [each.label for each in seen if each.lists and each.is_late(every_s, now)]
    if not blind and not late and seen:
        return Judged(UNREGISTERED, None, None, "No server lists a registration of it.")
    if blind:
        said = f"{_and(blind)} {'does' if len(blind) == 1 else 'do'} not say who is bound"
    else:
        said = f"{_and(late)} {'was' if len(late) == 1 else 'were'} not asked lately"
    return Judged(None, None, None, f"{said}, so where it is cannot be told.")


def _held(holders: Sequence[Seen], seen: Sequence[Seen], mode: GroupMode, now: float) -> Judged:
    if mode is GroupMode.FALLBACK:
        # Each server holds a registration of its own; the first in order works.
        best = holders[0]
    else:
        best = max(holders, key=lambda each: (each.bound_at or 0.0, each.until(now) or 0.0))
    reason = f"{best.label} lists {best.contacts[0][0]}."
    others = [each.label for each in holders if each is not best]
    if others and mode is GroupMode.FAILOVER:
        reason += f" {_and(others)} still {'lists' if len(others) == 1 else 'list'} it too."
    state = PRIMARY if best.priority == min(each.priority for each in seen) else SECONDARY
    if state == SECONDARY and mode is GroupMode.FALLBACK:
        state = FALLBACK
    return Judged(state, best.server_id, best.until(now), reason)


def _shared(holders: Sequence[Seen]) -> str:
    return (
        f"Bound as {holders[0].contacts[0][0]}; which server serves it cannot be told, because "
        "the servers of its group share their registrations."
    )


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def cause(before: str, after: str, before_priority: int, after_priority: int) -> str:
    """Return the history's word for a change between two states; a priority of 0: no server.

    `before` is '' for the first look.
    """
    if not before:
        return "seen"
    if after in (REJECTED, UNREGISTERED):
        return "refused" if after == REJECTED else "lost"
    if not before_priority:
        return "restored"
    if after_priority < before_priority:
        return "failback"
    return "fallback" if after == FALLBACK else "failover"


def is_restless(moved_ago_s: float, looked_ago_s: float | None, every_s: float) -> bool:
    """Whether a handset is to be looked at again soon, because it has just moved.

    `looked_ago_s` is how long before this look the last one was, None for the one that saw it
    move. A handset that was only seen for the first time has not moved, and is looked at in its
    time; nor does one come back to that pace whose looks have been slower since.
    """
    if moved_ago_s >= RESTLESS_S:
        return False
    return looked_ago_s is None or looked_ago_s < every_s / 2
