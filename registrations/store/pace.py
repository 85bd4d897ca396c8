"""When REGISTERs may leave: slots and pauses of each server, shared by all, and spreading."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction

from fleet.models import Server
from registrations.models import Registration, ServerPause
from registrations.store import chronicle
from registrations.store.chronicle import Turn, What
from registrations.store.sql import (
    BATCH,
    changed,
    is_postgresql,
    lock_in_order,
    packed,
    rows,
    stamp,
)
from registrations.values import HostPort

LONGEST_PAUSE_S = 3600.0
AHEAD_S = 1.0
_LATER = {True: "GREATEST", False: "MAX"}
SAME_PAUSE_S = 10.0
"""A pause that ends so little later than the one in the server's history is the same one."""


@dataclass(frozen=True, slots=True)
class Slots:
    """What a process got when it asked for slots. Times are Unix seconds."""

    first: float
    """When the first slot is, or would be."""
    is_ours: bool
    """False: nothing was reserved, the first slot would be too late."""
    paused_until: float
    """Until when the place asked to be left alone; in the past where it did not."""


def pause(server_id: int, place: HostPort, until: float, now: float | None = None) -> None:
    """Leave that place of the server alone until `until`, an hour at most: it asked (S6, S8).

    It holds for every group that reaches the place, and is shown at each server configured so.
    """
    now = time.time() if now is None else now
    until = min(until, now + LONGEST_PAUSE_S)
    later = _LATER[is_postgresql()]
    with transaction.atomic():
        _chronicle_pause(server_id, place, until, now)
        ServerPause.objects.filter(server_id=server_id, until__lt=now).delete()
        changed(
            "INSERT INTO registrations_serverpause (server_id, address, port, until) "
            "SELECT v.id, %s, %s, %s FROM fleet_server v JOIN fleet_server w "
            "ON v.address = w.address AND v.port = w.port AND v.transport = w.transport "
            "WHERE w.id = %s ORDER BY v.id ON CONFLICT (server_id, address, port) DO UPDATE SET "
            f"until = {later}(registrations_serverpause.until, EXCLUDED.until)",
            [*place, until, server_id],
        )


def _chronicle_pause(server_id: int, place: HostPort, until: float, now: float) -> None:
    """Write a pause that begins, and one that is longer than the one written already."""
    configured = Server.objects.filter(pk=server_id).values("address", "port", "transport").first()
    there = Server.objects.filter(**configured or {"pk": server_id}).order_by("pk")
    address, port = place
    asked = ServerPause.objects.filter(server__in=there, address=address, port=port)
    known = dict(asked.values_list("server_id", "until"))
    chronicle.record(
        Turn(
            server.pk,
            datetime.fromtimestamp(now, UTC),
            What.PAUSED,
            What.PAUSED if known.get(server.pk, 0.0) > now else What.WELL,
            until=datetime.fromtimestamp(until, UTC),
        )
        for server in there
        if until - known.get(server.pk, 0.0) > SAME_PAUSE_S
    )


def pauses(now: float) -> dict[HostPort, float]:
    """Return the places that asked to be left alone, and until when."""
    asked = ServerPause.objects.filter(until__gt=now).order_by("until")
    return {(address, port): end for address, port, end in asked.values_list(*_PAUSE)}


_PAUSE = ("address", "port", "until")


def reserve(
    server_id: int,
    place: HostPort,
    n: int,
    rate: float,
    not_after: float,
    not_before: float | None = None,
) -> Slots:
    """Reserve `n` slots 1/`rate` seconds apart, unless the first would be after `not_after`.

    None is before `not_before` (default: now): a database that takes long to answer would else
    give slots that are past when they are heard of. The slots are the server's, whichever place
    they are used for; while the place is paused none is reserved.
    """
    begin = time.time() if not_before is None else not_before
    ((next_at, asked_until),) = changed(
        "SELECT (SELECT next_at FROM registrations_serverpace WHERE server_id = %s), "
        "(SELECT MAX(until) FROM registrations_serverpause "
        "WHERE address = %s AND port = %s AND until > %s)",
        [server_id, *place, begin],
    )
    paused_until = asked_until or 0.0
    first = max(begin, next_at or 0.0, paused_until)
    if first > not_after or paused_until > begin:
        return Slots(first, False, paused_until)
    return Slots(reserve_slots(server_id, n, rate, begin), True, paused_until)


def reserve_slots(server_id: int, n: int, rate: float, now: float | None = None) -> float:
    """Reserve `n` slots, 1/`rate` seconds apart, and return when the first is, in Unix seconds.

    One atomic statement: no two callers get the same slot. Raises IntegrityError where the
    server was deleted.
    """
    now = time.time() if now is None else now
    later = _LATER[is_postgresql()]
    length = n / rate
    [(end,)] = changed(
        "INSERT INTO registrations_serverpace (server_id, next_at, refused) "
        "VALUES (%s, %s, 0) "
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


def spread_from(server_id: int, site_id: int, rate: float, now: float | None = None) -> None:
    """Make all who are bound there due from `now` on, in one statement, `rate` per second.

    Whose binding ends first goes first. Only groups with `fast_failover`; otherwise like `spread`,
    but that the first AHEAD_S' worth are due at once: places under the cap that pass while nobody
    waits for them are lost.
    """
    now = time.time() if now is None else now
    gap = 1.0 / rate if rate else 0.0
    turn = (
        f"SELECT b.id, {_LATER[is_postgresql()]}("
        "ROW_NUMBER() OVER (ORDER BY b.expires_at, b.id) - 1 - %s, 0) AS place "
        "FROM registrations_registration b JOIN fleet_servergroup g ON g.id = b.group_id "
        "WHERE b.server_id = %s AND b.site_id = %s AND g.fast_failover "
        "AND b.state <> 'disabled' AND EXISTS (SELECT 1 FROM fleet_line l "
        "WHERE l.id = b.line_id AND l.supervision = 'register')"
    )
    with transaction.atomic():
        there = Registration.objects.filter(server_id=server_id, site_id=site_id)
        if is_postgresql():
            lock_in_order(there.values_list("pk", flat=True))
        changed(
            f"UPDATE registrations_registration AS r SET {_due_at(_AT_PLACE[is_postgresql()])} "
            f"FROM ({turn}) AS x WHERE r.id = x.id",
            [stamp(now), gap] * 2 + [int(rate * AHEAD_S), server_id, site_id],
        )


_AT_PLACE = {
    True: "(%s::timestamptz + x.place * %s * interval '1 second')",
    False: "(strftime('%%Y-%%m-%%d %%H:%%M:%%f', %s, '+' || (x.place * %s) || ' seconds'))",
}


def _due_at(at: str) -> str:
    """Bring forward who is due later; one under a lease comes again as soon as it is saved."""
    return (
        "wish_version = r.wish_version + CASE WHEN r.lease_token IS NULL THEN 0 ELSE 1 END, "
        "due_at = CASE WHEN r.lease_token IS NULL AND r.state <> 'disabled' "
        f"AND (r.due_at IS NULL OR r.due_at > {at}) THEN {at} ELSE r.due_at END"
    )


def _spread(due: list[tuple[int, float]]) -> None:
    changed(
        f"UPDATE registrations_registration AS r SET {_due_at('x.due_at')} "
        f"FROM {rows({'id': 'bigint', 'due_at': 'timestamptz'})} WHERE r.id = x.id",
        [packed([{"id": pk, "due_at": stamp(at)} for pk, at in due])],
    )
