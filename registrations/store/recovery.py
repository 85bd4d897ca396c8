"""Breaking the lease of an agent that comes to no end: counted, and begun anew by others."""

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction

from registrations.models import Registration, State
from registrations.recovery import FORGETS_FROM, rest_s
from registrations.report import Moved
from registrations.store.save import Change, record
from registrations.store.sql import lock_in_order

FORGOTTEN = "Its agent failed or came to no end several times in a row, and begins anew."
CAUSE = "stuck"


@dataclass(frozen=True, slots=True)
class Broken:
    """An agent whose lease is to be broken."""

    registration_id: int
    token: str
    since: float
    """Since when it moves no more, or should have come to its end (Unix seconds)."""


def restart(broken: Iterable[Broken], now: float | None = None) -> list[int]:
    """Break these leases where they still hold, and let others claim the rows; return whose.

    Each rests for longer the more often it was begun anew in a row. Who was several times begins
    without what its row kept, in case that is what holds it up.
    """
    now = time.time() if now is None else now
    by_id = {each.registration_id: each for each in broken}
    with transaction.atomic():
        lock_in_order(by_id)
        there = Registration.objects.filter(pk__in=by_id).order_by("pk")
        held = [row for row in there if row.lease_token == uuid.UUID(by_id[row.pk].token)]
        record([change for row in held if (change := _begin_anew(row, by_id[row.pk], now))])
        Registration.objects.bulk_update(held, _WRITTEN, batch_size=100)
    return [row.pk for row in held]


_WRITTEN = [
    *("lease_token", "claimed_at", "due_at", "next_attempt_at", "stuck_since", "restarts"),
    *("state", "server", "assumed_on", "expires_at", "since", "reason", "snapshot"),
]


def _begin_anew(row: Registration, broken: Broken, now: float) -> Change | None:
    """Free the row; where it forgets what it kept, return what that changes of where it is."""
    due_at = datetime.fromtimestamp(now + rest_s(row.restarts), UTC)
    row.restarts += 1
    row.lease_token = row.claimed_at = None
    row.due_at = row.next_attempt_at = due_at
    row.stuck_since = row.stuck_since or datetime.fromtimestamp(broken.since, UTC)
    return _forget(row, now) if row.restarts >= FORGETS_FROM else None


def _forget(row: Registration, now: float) -> Change | None:
    moved = Moved(
        at=now,
        from_state=row.state,
        from_server_id=row.server_id,
        to_state=State.REGISTERING,
        to_server_id=None,
        cause=CAUSE,
        code=None,
        reason=FORGOTTEN,
        seconds=None,
    )
    has_moved = row.state != State.REGISTERING
    if has_moved:
        row.since = datetime.fromtimestamp(now, UTC)
    row.state, row.reason = State.REGISTERING, FORGOTTEN
    row.server = row.assumed_on = row.expires_at = None
    standing = {
        "state": row.state.value,
        "server_id": None,
        "since": row.since.timestamp(),
        "reason": FORGOTTEN,
        "cause": CAUSE,
    }
    row.snapshot = {"standing": standing}
    return Change(row.pk, moved) if has_moved else None
