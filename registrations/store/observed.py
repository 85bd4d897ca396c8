"""Observed lines: what servers list of them becomes their row and their history at once.

Only rows without a due time are written: whoever is due belongs to an agent.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.models import Line, Server
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
    at: float
    proof: Proof
    contacts: Contacts


@dataclass(frozen=True, slots=True)
class Before:
    """What was known of one line and server before the look."""

    contacts: Contacts
    asked_at: float | None


def contacts_before(proof_ids: Iterable[int]) -> Mapping[int, Before]:
    """Return what is known so far, by proof. Asked before the looks are written."""
    ids = list(proof_ids)
    if not ids:
        return {}
    known = StandbyProof.objects.filter(pk__in=ids)
    return {
        pk: Before(_contacts(contacts), _seconds(asked_at))
        for pk, contacts, asked_at in known.values_list("pk", "contacts", "asked_at")
    }


def follow(looks: Sequence[Look], before: Mapping[int, Before]) -> list[int]:
    """Write what the looks tell; return the registrations that are shown differently now."""
    if not looks:
        return []
    _note(looks, before)
    asked = {look.proof_id: before[look.proof_id].asked_at for look in looks}
    at = {look.registration_id: look.at for look in looks}
    seen = _seen(at)
    here = Registration.objects.filter(
        pk__in=at, due_at=None, lease_token=None, line__supervision=Line.Supervision.OBSERVE
    )
    outcomes, changes = [], list[Change]()
    restless: list[int] = []
    # Not joined: a handful of groups would be read and made once for each row.
    for row in here.only(*_SHOWN).prefetch_related("group").order_by("pk"):
        now = at[row.pk]
        found = _Outcome(row, seen[row.pk], now)
        outcomes.append(found)
        if found.moved:
            looked = [asked.get(pk) for pk, server, _ in found.rows if server == found.server_id]
            last = next((when for when in looked if when is not None), None)
            changes.append(Change(row.pk, found.change(None if last is None else now - last)))
        if now - found.since < observing.RESTLESS_S and not found.is_first:
            restless.append(row.pk)
    _write(outcomes)
    record(changes)
    _look_again(restless, max(at.values()))
    return [found.row.pk for found in outcomes if found.is_news]


_SHOWN = ("group_id", "state", "server_id", "since", "reason", "expires_at")


class _Outcome:
    """What becomes of one row."""

    def __init__(self, row: Registration, seen: Sequence[tuple[int, Seen]], now: float) -> None:
        self.row, self.now = row, now
        self.rows = [(pk, each.server_id, each.asked_at) for pk, each in seen]
        group = row.group
        self.seen = [each for _, each in seen]
        self.judged: Judged = observing.judge(
            self.seen,
            GroupMode(group.mode),
            shares=group.shares_registrations,
            every_s=group.observe_every,
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
        ends, was = self.judged.expires_at, self.row.expires_at
        is_renewed = ends is not None and (was is None or abs(ends - was.timestamp()) > 2)
        return self.moved or is_renewed or self.judged.reason != self.row.reason

    def change(self, unseen_s: float | None) -> Moved:
        """The line of the history. It happened at some time between two looks."""
        row = self.row
        before = "" if self.is_first else row.state
        places = {each.server_id: each.priority for each in self.seen}
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
            detect_seconds=None if self.is_first else unseen_s,
        )

    def as_row(self) -> dict[str, Any]:
        can_tell = self.judged.state is not None
        every_s = self.row.group.observe_every
        pause_s = every_s if self.is_first else observing.wait(every_s, self.now - self.since)
        return {
            "id": self.row.pk,
            "state": self.state,
            "server_id": self.server_id,
            "since": stamp(self.since),
            "reason": text(self.judged.reason),
            "expires_at": stamp(self.judged.expires_at),
            "can_tell": can_tell,
            "next_at": stamp(self.now + pause_s),
            "at": stamp(self.now),
        }


_COLUMNS = {
    "id": "bigint",
    "state": "text",
    "server_id": "bigint",
    "since": "timestamptz",
    "reason": "text",
    "expires_at": "timestamptz",
    "can_tell": "boolean",
    "next_at": "timestamptz",
    "at": "timestamptz",
}


def _write(outcomes: Sequence[_Outcome]) -> None:
    """Where it cannot be told, the row stays: it is unknown once its next look is late."""
    changed(
        "UPDATE registrations_registration AS r SET state = x.state, server_id = x.server_id, "
        "since = x.since, reason = x.reason, attempt = 0, "
        "expires_at = CASE WHEN x.can_tell THEN x.expires_at ELSE r.expires_at END, "
        "next_attempt_at = CASE WHEN x.can_tell THEN x.next_at ELSE r.next_attempt_at END, "
        "heard_at = CASE WHEN x.can_tell THEN x.at ELSE r.heard_at END "
        f"FROM {rows(_COLUMNS)} WHERE r.id = x.id AND r.due_at IS NULL AND r.lease_token IS NULL",
        [packed([found.as_row() for found in outcomes])],
    )


_NOTE_COLUMNS = {"id": "bigint", "bound_at": "timestamptz"}


def _note(looks: Sequence[Look], before: Mapping[int, Before]) -> None:
    """Keep when a binding was seen to have been made. The first look at one cannot tell."""
    made = [
        {"id": look.proof_id, "bound_at": stamp(look.at)}
        for look in looks
        if (known := before.get(look.proof_id)) is not None
        and known.asked_at is not None
        and look.proof in observing.LISTS
        and observing.is_renewed(known.contacts, look.contacts)
    ]
    if made:
        changed(
            "UPDATE registrations_standbyproof AS p SET bound_at = x.bound_at "
            f"FROM {rows(_NOTE_COLUMNS)} WHERE p.id = x.id",
            [packed(made)],
        )


def _seen(registration_ids: Iterable[int]) -> dict[int, list[tuple[int, Seen]]]:
    """Return what each server last said of these lines, in the order of their group."""
    found: dict[int, list[tuple[int, Seen]]] = defaultdict(list)
    # Values, and a few servers beside them: a model for each row is most of what a look costs.
    known = StandbyProof.objects.filter(registration__in=list(registration_ids))
    told = list(known.order_by("server__priority").values_list(*_SEEN))
    servers = Server.objects.in_bulk({server_id for _, _, server_id, *_ in told})
    for pk, registration_id, server_id, proof, contacts, asked_at, bound_at in told:
        server = servers[server_id]
        found[registration_id].append(
            (
                pk,
                Seen(
                    server_id,
                    server.priority,
                    str(server),
                    Proof(proof),
                    _contacts(contacts),
                    _seconds(asked_at),
                    _seconds(bound_at),
                ),
            )
        )
    return found


_SEEN = ("pk", "registration_id", "server_id", "proof", "contacts", "asked_at", "bound_at")


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


def _contacts(kept: Any) -> Contacts:
    return tuple((uri, float(until)) for uri, until in kept)


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
