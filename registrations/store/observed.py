"""Observed lines: what servers list of them becomes their row and their history at once.

Only rows without a due time are written: whoever is due belongs to an agent.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.models import Line, Server, ServerGroup
from registrations import observing
from registrations.models import Registration, StandbyProof, State
from registrations.observing import Contacts, Judged, Seen
from registrations.proving import Proof
from registrations.report import Moved
from registrations.store.save import Change, record
from registrations.store.sql import changed, packed, rows, stamp, text
from registrations.values import GroupMode


@dataclass(frozen=True, slots=True)
class Look:
    """One server was asked about one observed line."""

    proof_id: int
    registration_id: int
    server_id: int
    at: float
    proof: Proof
    contacts: Contacts
    listed_before: Contacts
    asked_before: float | None
    """When it was asked the time before; None: never yet."""


def follow(looks: Sequence[Look]) -> list[int]:
    """Write what the looks tell; return the registrations that are shown differently now.

    Where a line is still where it was, only the times of its row are written. The caller has locked
    the rows: none of them can become an agent's meanwhile.
    """
    if not looks:
        return []
    _note(looks)
    looked: dict[int, list[Look]] = defaultdict(list)
    for look in looks:
        looked[look.registration_id].append(look)
    seen = _seen(looked)
    here = Registration.objects.filter(
        pk__in=list(looked),
        due_at=None,
        lease_token=None,
        line__supervision=Line.Supervision.OBSERVE,
    )
    rows_here = [_Row(*values) for values in here.order_by("pk").values_list(*_Row.__slots__)]
    groups = ServerGroup.objects.only("mode", "shares_registrations", "observe_every").in_bulk(
        {row.group_id for row in rows_here}
    )
    outcomes = [
        _Outcome(row, groups[row.group_id], seen[row.pk], looked[row.pk]) for row in rows_here
    ]
    _write([found for found in outcomes if found.is_news])
    _keep([found for found in outcomes if found.is_kept])
    record([Change(found.row.pk, found.change()) for found in outcomes if found.moved])
    _look_again([found.row.pk for found in outcomes if found.is_restless], looks[-1].at)
    return [found.row.pk for found in outcomes if found.is_news]


@dataclass(slots=True)
class _Row:
    """What is looked at of a registration; the names are its columns."""

    pk: int
    group_id: int
    state: str
    server_id: int | None
    since: datetime
    reason: str
    expires_at: datetime | None


class _Outcome:
    """What becomes of one row."""

    __slots__ = (
        "every_s",
        "is_first",
        "judged",
        "looks",
        "moved",
        "now",
        "row",
        "seen",
        "server_id",
        "since",
        "state",
    )

    def __init__(
        self, row: _Row, group: ServerGroup, seen: Sequence[Seen], looks: Sequence[Look]
    ) -> None:
        self.row, self.seen, self.looks, now = row, seen, looks, looks[-1].at
        self.now = now
        self.every_s = float(group.observe_every)
        self.judged: Judged = observing.judge(
            seen,
            GroupMode(group.mode),
            shares=group.shares_registrations,
            every_s=self.every_s,
            now=now,
        )
        self.is_first = row.state in (State.DISABLED, State.REGISTERING)
        told = self.judged.state
        self.state = row.state if told is None else told
        self.server_id = row.server_id if told is None else self.judged.server_id
        self.moved = (self.state, self.server_id) != (row.state, row.server_id)
        self.since = now if self.moved else row.since.timestamp()

    @property
    def is_news(self) -> bool:
        """Whether it is shown differently now."""
        ends, was = self.judged.expires_at, self.row.expires_at
        is_renewed = ends is not None and (was is None or abs(ends - was.timestamp()) > 2)
        return self.moved or is_renewed or self.judged.reason != self.row.reason

    @property
    def is_kept(self) -> bool:
        """Whether it is where it was. Where that cannot be told nothing is to be written."""
        return self.judged.state is not None and not self.is_news

    @property
    def is_restless(self) -> bool:
        """Whether it moved a moment ago, so that it may move again."""
        before = [self.now - each.asked_before for each in self.looks if each.asked_before]
        ago_s = None if self.moved else min(before, default=self.every_s)
        moved_ago_s = self.now - self.since
        return not self.is_first and observing.is_restless(moved_ago_s, ago_s, self.every_s)

    def change(self) -> Moved:
        """The line of the history. It happened at some time between two looks."""
        row = self.row
        before = "" if self.is_first else row.state
        places = {each.server_id: each.priority for each in self.seen}
        here = (each.asked_before for each in self.looks if each.server_id == self.server_id)
        last = next(here, None)
        return Moved(
            at=self.now,
            from_state=State.UNKNOWN if row.state == State.REGISTERING else row.state,
            from_server_id=row.server_id,
            to_state=self.state,
            to_server_id=self.server_id,
            cause=observing.cause(
                before,
                self.state,
                places.get(row.server_id or 0, 0),
                places.get(self.server_id or 0, 0),
            ),
            code=None,
            reason=self.judged.reason,
            seconds=None,
            detect_seconds=None if self.is_first or last is None else self.now - last,
        )

    def times(self) -> dict[str, Any]:
        pause_s = observing.QUICK_S if self.is_restless else self.every_s
        return {
            "id": self.row.pk,
            "next_at": stamp(self.now + min(pause_s, self.every_s)),
            "at": stamp(self.now),
        }

    def as_row(self) -> dict[str, Any]:
        return {
            **self.times(),
            "state": self.state,
            "server_id": self.server_id,
            "since": stamp(self.since),
            "reason": text(self.judged.reason),
            "expires_at": stamp(self.judged.expires_at),
            "can_tell": self.judged.state is not None,
        }


_TIMES = {"id": "bigint", "next_at": "timestamptz", "at": "timestamptz"}
_COLUMNS = {
    **_TIMES,
    "state": "text",
    "server_id": "bigint",
    "since": "timestamptz",
    "reason": "text",
    "expires_at": "timestamptz",
    "can_tell": "boolean",
}


def _write(outcomes: Sequence[_Outcome]) -> None:
    """Where it cannot be told, the row stays: it is unknown once its next look is late."""
    if outcomes:
        changed(
            "UPDATE registrations_registration AS r SET state = x.state, "
            "server_id = x.server_id, since = x.since, reason = x.reason, attempt = 0, "
            "expires_at = CASE WHEN x.can_tell THEN x.expires_at ELSE r.expires_at END, "
            "next_attempt_at = CASE WHEN x.can_tell THEN x.next_at ELSE r.next_attempt_at END, "
            "heard_at = CASE WHEN x.can_tell THEN x.at ELSE r.heard_at END "
            f"FROM {rows(_COLUMNS)} WHERE r.id = x.id",
            [packed([found.as_row() for found in outcomes])],
        )


def _keep(outcomes: Sequence[_Outcome]) -> None:
    """Note that these were looked at, and nothing else."""
    if outcomes:
        changed(
            "UPDATE registrations_registration AS r "
            f"SET next_attempt_at = x.next_at, heard_at = x.at FROM {rows(_TIMES)} "
            "WHERE r.id = x.id",
            [packed([found.times() for found in outcomes])],
        )


_NOTE_COLUMNS = {"id": "bigint", "bound_at": "timestamptz"}


def _note(looks: Sequence[Look]) -> None:
    """Keep when a binding was seen to have been made. The first look at one cannot tell."""
    made = [
        {"id": look.proof_id, "bound_at": stamp(look.at)}
        for look in looks
        if look.asked_before is not None
        and look.proof in observing.LISTS
        and observing.is_renewed(look.listed_before, look.contacts)
    ]
    if made:
        changed(
            "UPDATE registrations_standbyproof AS p SET bound_at = x.bound_at "
            f"FROM {rows(_NOTE_COLUMNS)} WHERE p.id = x.id",
            [packed(made)],
        )


def _seen(registration_ids: Iterable[int]) -> dict[int, list[Seen]]:
    """Return what each server last said of these lines, in the order of their group."""
    found: dict[int, list[Seen]] = defaultdict(list)
    # Values, and a few servers beside them: a model for each row is most of what a look costs.
    known = StandbyProof.objects.filter(registration__in=list(registration_ids)).order_by()
    told = list(known.values_list(*_SEEN))
    servers = Server.objects.order_by("priority").in_bulk({server_id for _, server_id, *_ in told})
    place = {pk: (each.priority, str(each)) for pk, each in servers.items()}
    for registration_id, server_id, proof, contacts, asked_at, bound_at in told:
        found[registration_id].append(
            Seen(
                server_id,
                *place[server_id],
                Proof(proof),
                contacts_of(contacts),
                _seconds(asked_at),
                _seconds(bound_at),
            )
        )
    for servers_of_one in found.values():
        servers_of_one.sort(key=lambda each: each.priority)
    return found


_SEEN = ("registration_id", "server_id", "proof", "contacts", "asked_at", "bound_at")


def _look_again(registration_ids: Sequence[int], now: float) -> None:
    """Look soon at those that have just moved."""
    soon = datetime.fromtimestamp(now, UTC) + timedelta(seconds=observing.QUICK_S)
    mine = StandbyProof.objects.filter(registration__in=registration_ids, lease_token=None)
    mine.filter(refusals=0, due_at__gt=soon).update(due_at=soon)


def look_now(handset_id: int, now: float) -> int:
    """Make the looks at the watched lines of a handset due; return how many.

    Who was refused is not asked sooner for that.
    """
    mine = StandbyProof.objects.filter(registration__line__handset=handset_id, is_observed=True)
    at = datetime.fromtimestamp(now, UTC)
    return mine.filter(lease_token=None, refusals=0, due_at__gt=at).update(due_at=at)


def contacts_of(kept: Any) -> Contacts:
    """Return who is bound, as it is kept."""
    return tuple((uri, float(until)) for uri, until in kept)


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
