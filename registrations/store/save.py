"""Writing what agents came to: state, history and failback results in one transaction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from registrations import records
from registrations.keeping import FORMAT
from registrations.report import AgentResult, Moved
from registrations.store.brief import is_brief, note_brief
from registrations.store.claim import Claimed
from registrations.store.refused import is_refusal, note_refusals
from registrations.store.renewals import count_renewals
from registrations.store.sql import (
    changed,
    document,
    is_postgresql,
    lock_in_order,
    packed,
    rows,
    server_label,
    stamp,
    text,
    token_text,
)
from registrations.store.strangers import note_strangers
from registrations.vitals import counters

RESUME, OVERRIDE = "resume", "override"
"""Wishes that are done as soon as an agent has run: forget back-off and refusals; and bind
although somebody else is bound, which the agent keeps in mind until it is bound."""

ASKED_FOR = frozenset({"forced_failback", "moved_away", "overridden"})
"""Causes of a change behind which a person stands."""


@dataclass(slots=True)
class Finished:
    """An agent that is idle, and what it came to. Nobody changes it (see `Claimed`)."""

    claimed: Claimed
    result: AgentResult
    at: float


@records.record
class Saved:
    """A registration whose result was written."""

    registration_id: int
    has_new_wish: bool
    """Somebody wished something meanwhile: the row is due at once."""


@records.record
class Change:
    """One line of the history, with whose it is and who asked for it."""

    registration_id: int
    moved: Moved
    asked_by: str = ""


def save(finished: Sequence[Finished]) -> list[Saved]:
    """Write up to BATCH results in one transaction and return those that were still ours.

    A result whose lease token is no longer the row's is dropped: another claim holds the row, or
    the line was switched off. The caller publishes after this returns.
    """
    if not finished:
        return []
    wished = {done.claimed.registration_id: done.claimed.wish_version for done in finished}
    now = stamp(max(done.at for done in finished))
    with transaction.atomic():
        lock_in_order(wished)
        written = changed(_save_sql(), [now, packed([_row(done) for done in finished])])
        saved = [Saved(pk, version != wished[pk]) for pk, version in written]
        ours = {each.registration_id for each in saved}
        kept = [done for done in finished if done.claimed.registration_id in ours]
        record([change for done in kept for change in _changes(done)])
        unmoved = {each.registration_id for each in saved if not each.has_new_wish}
        _answer_failbacks([d for d in kept if d.claimed.registration_id in unmoved])
        note_strangers(
            (done.claimed.registration_id, heard)
            for done in kept
            for heard in done.result.heard
            if heard.others
        )
        note_brief(
            (done.claimed.registration_id, heard)
            for done in kept
            for heard in done.result.heard
            if is_brief(heard, done.claimed.group.policy.expires)
        )
        note_refusals(
            (done.claimed.registration_id, heard)
            for done in kept
            for heard in done.result.heard
            if is_refusal(heard)
        )
        count_renewals((pk, done.at) for done in kept for pk in done.result.renewed)
    return saved


_COLUMNS = {
    "id": "bigint",
    "token": "uuid",
    "wished": "integer",
    "wish": "text",
    "state": "text",
    "server_id": "bigint",
    "assumed_id": "bigint",
    "since": "timestamptz",
    "reason": "text",
    "expires_at": "timestamptz",
    "due_at": "timestamptz",
    "attempt": "integer",
    "code": "integer",
    "answer": "text",
    "heard_at": "timestamptz",
    "renewals": "integer",
    "snapshot": "text",
}


def _save_sql() -> str:
    snapshot, now, mine = "x.snapshot", "%s", ""
    if is_postgresql():
        snapshot, now, mine = "x.snapshot::jsonb", "%s::timestamptz", "r."
    kept = "r.wish_version = x.wished"
    return f"""
        UPDATE registrations_registration AS r SET
            state = x.state,
            server_id = (SELECT s.id FROM fleet_server s WHERE s.id = x.server_id),
            assumed_on_id = (SELECT s.id FROM fleet_server s WHERE s.id = x.assumed_id),
            since = x.since, reason = x.reason, expires_at = x.expires_at,
            next_attempt_at = x.due_at, attempt = x.attempt,
            last_code = COALESCE(x.code, CASE WHEN x.answer = '' THEN r.last_code END),
            last_answer = CASE WHEN x.answer = '' THEN r.last_answer ELSE x.answer END,
            heard_at = COALESCE(x.heard_at, r.heard_at), renewals = r.renewals + x.renewals,
            snapshot = {snapshot}, snapshot_format = {FORMAT}, cseq_reserve = 0,
            lease_token = NULL, claimed_at = NULL, stuck_since = NULL, restarts = 0,
            due_at = CASE WHEN {kept} THEN x.due_at ELSE {now} END,
            clock_set_s = CASE WHEN {kept} THEN 0 ELSE r.clock_set_s END,
            wish = CASE WHEN {kept} THEN x.wish ELSE r.wish END,
            wish_by = CASE WHEN {kept} AND x.wish = '' THEN '' ELSE r.wish_by END,
            wish_request = CASE WHEN {kept} AND x.wish = '' THEN '' ELSE r.wish_request END
        FROM {rows(_COLUMNS)} WHERE r.id = x.id AND r.lease_token = x.token
        RETURNING {mine}id, {mine}wish_version"""


def _row(done: Finished) -> dict[str, Any]:
    claimed, result = done.claimed, done.result
    wish_is_done = claimed.wish in (RESUME, OVERRIDE) or result.wish_result is not None
    return {
        "id": claimed.registration_id,
        "token": token_text(claimed.token),
        "wished": claimed.wish_version,
        "wish": "" if wish_is_done else claimed.wish,
        "state": result.state,
        "server_id": result.server_id,
        "assumed_id": result.assumed_server_id,
        "since": stamp(result.since),
        "reason": text(result.reason),
        "expires_at": stamp(result.expires_at),
        # What is due at once is due now: a time long past would make the row look forgotten.
        "due_at": stamp(max(result.due_at, done.at)),
        "attempt": result.attempt,
        "code": result.code,
        "answer": text(result.answer),
        "heard_at": stamp(result.heard_at),
        "renewals": len(result.renewed),
        "snapshot": document(result.snapshot),
    }


def _changes(done: Finished) -> list[Change]:
    claimed = done.claimed
    return [
        Change(
            claimed.registration_id,
            moved,
            claimed.wish_by if moved.cause in ASKED_FOR else "",
        )
        for moved in done.result.transitions
    ]


_CHANGE_COLUMNS = {
    "place": "integer",
    "id": "bigint",
    "at": "timestamptz",
    "from_state": "text",
    "from_server": "bigint",
    "to_state": "text",
    "to_server": "bigint",
    "cause": "text",
    "code": "integer",
    "reason": "text",
    "seconds": "double precision",
    "detect_seconds": "double precision",
    "asked_by": "text",
}
_LABEL = f"COALESCE((SELECT {server_label('v')} FROM fleet_server v WHERE v.id = x.{{side}}), '')"


def record(changes: Sequence[Change]) -> None:
    """Append to the history; names are read from the fleet in the same statement."""
    if not changes:
        return
    transaction.on_commit(lambda: _count(changes))
    changed(
        "INSERT INTO registrations_transition (registration_id, at, mac, extension, handset_name, "
        "group_name, site_name, from_state, from_server, to_state, to_server, cause, code, "
        "reason, seconds, detect_seconds, asked_by) "
        "SELECT r.id, x.at, h.mac, l.extension, h.name, g.name, s.name, x.from_state, "
        f"{_LABEL.format(side='from_server')}, x.to_state, {_LABEL.format(side='to_server')}, "
        "x.cause, x.code, x.reason, x.seconds, x.detect_seconds, x.asked_by "
        f"FROM {rows(_CHANGE_COLUMNS)} JOIN registrations_registration r ON r.id = x.id "
        "JOIN fleet_line l ON l.id = r.line_id JOIN fleet_handset h ON h.id = l.handset_id "
        "JOIN fleet_servergroup g ON g.id = r.group_id JOIN fleet_site s ON s.id = r.site_id "
        "ORDER BY x.at, x.place",
        [packed([_change_row(*each) for each in enumerate(changes)])],
    )


def _count(changes: Sequence[Change]) -> None:
    for cause, n in Counter(change.moved.cause for change in changes).items():
        counters.TRANSITIONS.add(cause, n=n)


def _change_row(place: int, change: Change) -> dict[str, Any]:
    moved = change.moved
    return {
        # A line's changes of one moment follow one another in the order in which they came.
        "place": place,
        "id": change.registration_id,
        "at": stamp(moved.at),
        "from_state": moved.from_state,
        "from_server": moved.from_server_id,
        "to_state": moved.to_state,
        "to_server": moved.to_server_id,
        "cause": moved.cause,
        "code": moved.code,
        "reason": text(moved.reason),
        "seconds": moved.seconds,
        "detect_seconds": moved.detect_seconds,
        "asked_by": change.asked_by,
    }


_ANSWER_COLUMNS = {
    "id": "bigint",
    "result": "text",
    "reason": "text",
    "seconds": "double precision",
    "at": "timestamptz",
}


def _answer_failbacks(finished: Sequence[Finished]) -> None:
    answers = [
        {
            "id": done.claimed.registration_id,
            "result": done.result.wish_result.result,
            "reason": text(done.result.wish_result.reason),
            "seconds": done.result.wish_result.seconds,
            "at": stamp(done.at),
        }
        for done in finished
        if done.result.wish_result is not None
    ]
    if not answers:
        return
    changed(
        "UPDATE registrations_jobresult AS f SET result = x.result, reason = x.reason, "
        f"seconds = x.seconds, finished_at = x.at FROM {rows(_ANSWER_COLUMNS)} "
        "WHERE f.registration_id = x.id AND f.result = 'pending'",
        [packed(answers)],
    )
