"""When REGISTERs may leave: the slots of each server, shared by all processes, and spreading."""

import time
from collections.abc import Sequence

from django.db import transaction

from registrations.models import ServerPace
from registrations.store.sql import (
    BATCH,
    changed,
    is_postgresql,
    lock_in_order,
    packed,
    rows,
    stamp,
)


def next_slot(server_id: int, now: float | None = None) -> float:
    """Return when the server's first free slot is, in Unix seconds; reserves nothing."""
    now = time.time() if now is None else now
    found = ServerPace.objects.filter(server_id=server_id).values_list("next_at", flat=True)
    return max(now, found.first() or 0.0)


def reserve_slots(server_id: int, n: int, rate: float, now: float | None = None) -> float:
    """Reserve `n` slots, 1/`rate` seconds apart, and return when the first is, in Unix seconds.

    One atomic statement: no two callers get the same slot. Raises IntegrityError where the
    server was deleted.
    """
    now = time.time() if now is None else now
    later = "GREATEST" if is_postgresql() else "MAX"
    length = n / rate
    [(end,)] = changed(
        "INSERT INTO registrations_serverpace (server_id, next_at) VALUES (%s, %s) "
        "ON CONFLICT (server_id) DO UPDATE SET "
        f"next_at = {later}(registrations_serverpace.next_at, %s) + %s RETURNING next_at",
        [server_id, now + length, now, length],
    )
    return float(end) - length


def spread(registration_ids: Sequence[int], rate: float, now: float | None = None) -> None:
    """Make these rows due from `now` on, `rate` per second in the order given (0: all at once).

    A row that is under a lease is not touched but for its wish version: it becomes due as soon
    as the result of its agent is saved. One that is due earlier already stays so; one that is
    switched off stays off.
    """
    now = time.time() if now is None else now
    gap = 1.0 / rate if rate else 0.0
    places = list(enumerate(registration_ids))
    for start in range(0, len(places), BATCH):
        with transaction.atomic():
            lock_in_order(registration_ids[start : start + BATCH])
            _spread([(pk, now + place * gap) for place, pk in places[start : start + BATCH]])


def _spread(due: list[tuple[int, float]]) -> None:
    changed(
        "UPDATE registrations_registration AS r SET "
        "wish_version = r.wish_version + CASE WHEN r.lease_token IS NULL THEN 0 ELSE 1 END, "
        "due_at = CASE WHEN r.lease_token IS NULL AND r.state <> 'disabled' "
        "AND (r.due_at IS NULL OR r.due_at > x.due_at) THEN x.due_at ELSE r.due_at END "
        f"FROM {rows({'id': 'bigint', 'due_at': 'timestamptz'})} WHERE r.id = x.id",
        [packed([{"id": pk, "due_at": stamp(at)} for pk, at in due])],
    )
