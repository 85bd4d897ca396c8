"""Rows whose times were kept by a clock that was then set: all are looked at again, paced."""

import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import F

from registrations.models import (
    Registration,
    ServerHealth,
    ServerPace,
    ServerPause,
    StandbyProof,
    State,
)
from registrations.store.sql import BATCH, changed, lock_in_order, packed, rows, stamp

ALREADY_S = 5.0
"""Who was heard so lately was so by the new time: another worker has been here first."""


def clock_was_set(step: float, now: float | None = None) -> None:
    """Take account of a clock that was set by `step` seconds and is `now`.

    Every line becomes due, `max_registrations_per_second` at a time, whose binding ends first going
    first, and is told: a binding is renewed whatever its kept times say. Workers of one machine may
    each call it.
    """
    now = time.time() if now is None else now
    if step < 0:
        _free_servers(step, now)
    for (_, cap), ids in _turns(now).items():
        gap = 1.0 / cap if cap else 0.0
        for start in range(0, len(ids), BATCH):
            at = [now + place * gap for place in range(start, start + BATCH)]
            _tell(dict(zip(ids[start : start + BATCH], at, strict=False)), step)


def _free_servers(step: float, now: float) -> None:
    """Nothing that is asked of a server waits for the old time to come again."""
    ServerPace.objects.filter(next_at__gt=now).update(next_at=now)
    ServerPause.objects.filter(until__gt=now).update(until=F("until") + step)
    moment = datetime.fromtimestamp(now, UTC)
    ServerHealth.objects.filter(due_at__gt=moment).update(due_at=moment, lease_token=None)
    set_by = timedelta(seconds=step)
    for kept in ("since", "heard_at", "noticed_at", "silent_at", "good_since"):
        # An answer of the time to come would outdate every miss until then.
        late = ServerHealth.objects.filter(**{f"{kept}__gt": moment})
        late.update(**{kept: F(kept) + set_by})
    looks = StandbyProof.objects.filter(due_at__gt=moment)
    looks.update(due_at=F("due_at") + set_by, lease_token=None)
    observed = Registration.objects.filter(due_at=None, next_attempt_at__gt=moment)
    observed.update(next_attempt_at=F("next_attempt_at") + set_by)


def _turns(now: float) -> dict[tuple[int, int], list[int]]:
    """Return whom it concerns in the order of their turns, by group and cap."""
    on = Registration.objects.exclude(state=State.DISABLED).filter(due_at__isnull=False)
    lately = datetime.fromtimestamp(now - ALREADY_S, UTC), datetime.fromtimestamp(now, UTC)
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    turns = on.exclude(heard_at__range=lately).order_by("expires_at", "pk")
    for pk, group, cap in turns.values_list(
        "pk", "group_id", "group__max_registrations_per_second"
    ):
        found[group, cap].append(pk)
    return found


def _tell(due: Mapping[int, float], step: float) -> None:
    """Make these due at these times. Who is under a lease is due once that is given back."""
    set_by = timedelta(seconds=step)
    with transaction.atomic():
        lock_in_order(due)
        ends = Registration.objects.filter(pk__in=due).values_list("pk", "expires_at")
        told = [
            {
                "id": pk,
                "due_at": stamp(due[pk]),
                "expires_at": None if end is None else stamp((end + set_by).timestamp()),
                "step": step,
            }
            for pk, end in ends
        ]
        changed(_TELL.format(rows=rows(_COLUMNS)), [packed(told)])


_COLUMNS = {
    "id": "bigint",
    "due_at": "timestamptz",
    "expires_at": "timestamptz",
    "step": "double precision",
}
_TELL = """
    UPDATE registrations_registration AS r SET
        clock_set_s = x.step, expires_at = x.expires_at,
        due_at = CASE WHEN r.lease_token IS NULL THEN x.due_at ELSE r.due_at END,
        next_attempt_at = CASE WHEN r.lease_token IS NULL THEN x.due_at ELSE r.next_attempt_at END,
        wish_version = r.wish_version + CASE WHEN r.lease_token IS NULL THEN 0 ELSE 1 END
    FROM {rows} WHERE r.id = x.id"""
