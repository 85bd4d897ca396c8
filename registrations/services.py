"""What follows from a change of the fleet: registrations are made, moved, woken or switched off."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, Value

from fleet import request_id
from fleet.models import Line
from registrations import live, store
from registrations.models import Registration, State
from registrations.queries.rows import BOUND, LOOK_GRACE
from registrations.report import Moved

RESUME = "resume"
"""The wish of a change: the agent forgets back-off and refusals and looks again."""

OFF = {
    Line.Supervision.OFF: "Its supervision is off.",
    Line.Supervision.OBSERVE: "It is only observed, and waits for the first look.",
}


def unseen(at: datetime) -> dict[str, Any]:
    """Return what an observed line is from `at` on until its first look: unknown.

    Its look is late by all that is forgiven, so that nothing is claimed of it meanwhile.
    """
    return {
        "state": State.REGISTERING,
        "since": at,
        "next_attempt_at": at - LOOK_GRACE,
        "reason": OFF[Line.Supervision.OBSERVE],
    }


def on_fleet_changed(line_ids: Sequence[int], **_: Any) -> None:
    """Receiver of fleet's signal; runs in the transaction of the change."""
    sync_registrations(line_ids)


def on_access_changed(user_id: int, **_: Any) -> None:
    """Receiver of fleet's signal: open sockets ask again once it is so."""
    transaction.on_commit(partial(live.access_changed, user_id))


def on_removed(instance: Registration, **_: Any) -> None:
    """Receiver of Django's signal before a registration is deleted: its history ends with that."""
    gone = _moved(instance, time.time(), State.DISABLED, "removed", "It was removed.")
    store.record([store.Change(instance.pk, gone)])


@transaction.atomic
def sync_registrations(line_ids: Iterable[int]) -> None:
    """Make the registrations of these lines what their lines say, set by set.

    New and switched-on lines become due, spread by their group's cap; so do changed ones, whose
    agents take up the change. Lines no longer registered are switched off: their lease is taken
    away, so that an agent at work on one writes nothing and stops sending within seconds.
    """
    lines = {
        line.pk: line
        for line in Line.objects.filter(pk__among=list(line_ids))
        .select_related("handset")
        .only("supervision", "handset__group", "handset__site")
        .order_by("pk")
    }
    now = time.time()
    here = {
        row.line_id: row
        for row in Registration.objects.select_for_update()
        .filter(line_id__among=lines)
        .defer("snapshot")
        .order_by("pk")
    }
    _create([line for pk, line in lines.items() if pk not in here], now)
    _follow([(row, lines[pk]) for pk, row in here.items()])
    _switch(list(here.values()), lines, now)
    _say_who_lost_its_server(lines)
    _wake(lines, now)
    store.ensure_health()
    store.ensure_proofs(list(lines), now)
    ids = list(Registration.objects.filter(line_id__among=lines).values_list("pk", flat=True))
    transaction.on_commit(lambda: live.publish({"id": pk} for pk in ids))


def _is_on(line: Line) -> bool:
    return line.supervision == Line.Supervision.REGISTER


def _create(lines: Sequence[Line], now: float) -> None:
    moment = datetime.fromtimestamp(now, UTC)
    waits = {
        "state": State.REGISTERING,
        "since": moment,
        "reason": "Waits for its turn to register.",
    }
    off = OFF[Line.Supervision.OFF]
    first: dict[str, dict[str, Any]] = {
        Line.Supervision.REGISTER: waits,
        Line.Supervision.OBSERVE: unseen(moment),
        Line.Supervision.OFF: {"state": State.DISABLED, "since": moment, "reason": off},
    }
    for supervision, fields in first.items():
        store.create((line.pk for line in lines if line.supervision == supervision), fields)


def _follow(pairs: Sequence[tuple[Registration, Line]]) -> None:
    """Let the rows stand in their handset's group and at its site."""
    moved: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, line in pairs:
        place = (line.handset.group_id, line.handset.site_id)
        if place != (row.group_id, row.site_id):
            moved[place].append(row.pk)
    for (group_id, site_id), ids in moved.items():
        Registration.objects.filter(pk__in=ids).update(group_id=group_id, site_id=site_id)


def _switch(rows: Sequence[Registration], lines: dict[int, Line], now: float) -> None:
    """Switch off what is no longer registered, and on what is again; both go into the history."""
    moment = datetime.fromtimestamp(now, UTC)
    off = [r for r in rows if not _stays(r, lines[r.line_id]) and not _is_on(lines[r.line_id])]
    on = [r for r in rows if _is_on(lines[r.line_id]) and _has_no_agent(r)]
    changes = [
        store.Change(row.pk, _moved(row, now, State.DISABLED, "disabled", _why(lines, row)))
        for row in off
    ] + [store.Change(row.pk, _moved(row, now, State.REGISTERING, "enabled", "")) for row in on]
    store.record(changes)
    for supervision, reason in OFF.items():
        ids = [r.pk for r in off if lines[r.line_id].supervision == supervision]
        Registration.objects.filter(pk__in=ids).update(
            **_CLEAN, state=State.DISABLED, since=moment, reason=reason, due_at=None
        )
    Registration.objects.filter(pk__in=[row.pk for row in on]).update(
        **_CLEAN,
        state=State.REGISTERING,
        since=moment,
        reason="Waits for its turn to register.",
        snapshot={},
    )


def _has_no_agent(row: Registration) -> bool:
    """Off, or only observed so far."""
    return row.state == State.DISABLED or (row.due_at is None and row.lease_token is None)


def _stays(row: Registration, line: Line) -> bool:
    """Whether there is nothing to switch off: it is off, or is observed and was."""
    is_observed = line.supervision == Line.Supervision.OBSERVE
    return row.state == State.DISABLED or (is_observed and _has_no_agent(row))


_CLEAN: dict[str, Any] = {
    "server": None,
    "expires_at": None,
    "next_attempt_at": None,
    "attempt": 0,
    "lease_token": None,
    "claimed_at": None,
    "stuck_since": None,
    "restarts": 0,
    "wish": "",
    "wish_by": "",
    "wish_request": "",
    "wish_version": F("wish_version") + Value(1),
}


def _why(lines: dict[int, Line], row: Registration) -> str:
    return OFF[Line.Supervision(lines[row.line_id].supervision)]


def _moved(row: Registration, now: float, state: str, cause: str, reason: str) -> Moved:
    return Moved(
        at=now,
        from_state=row.state,
        from_server_id=row.server_id,
        to_state=state,
        to_server_id=None,
        cause=cause,
        code=None,
        reason=reason,
        seconds=None,
    )


def _say_who_lost_its_server(lines: dict[int, Line]) -> None:
    """Until their turn comes they are bound to one that is no server of theirs any more."""
    held = Registration.objects.filter(line_id__among=lines, state__in=BOUND, server=None)
    held.update(reason="The server that holds it was deleted; it goes to another in its turn.")


def _wake(lines: dict[int, Line], now: float) -> None:
    """Make every registered line due, at the pace its servers take."""
    rows = Registration.objects.filter(
        line_id__among=lines, line__supervision=Line.Supervision.REGISTER
    ).exclude(state=State.DISABLED)
    rows.filter(wish="").update(
        wish=RESUME, wish_request=request_id.current(), wish_version=F("wish_version") + 1
    )
    capped: dict[tuple[int, int], list[int]] = defaultdict(list)
    for pk, group_id, cap in rows.order_by("pk").values_list(
        "pk", "group_id", "group__max_registrations_per_second"
    ):
        capped[group_id, cap].append(pk)
    for (_, cap), ids in capped.items():
        store.spread(ids, cap, now)
