"""What a site's workers know of each server: up, silent, since when; and whose turn a probe is."""

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import Q

from registrations.models import Registration, ServerHealth
from registrations.store.pace import spread
from registrations.store.sql import changed, is_postgresql, listed, stamp, text, token_text, within
from registrations.values import Target

PROBE_EVERY_S = 10.0
DOUBT_EVERY_S = 1.5
"""After a first miss, and after a first answer of a silent server: the second look comes soon."""
MISSES_TO_SILENT = 2
ANSWERS_TO_UP = 2

_CONDITION = ServerHealth.Condition


@dataclass(frozen=True, slots=True)
class ClaimedHealth:
    """A probe that is ours to send."""

    health_id: int
    token: str
    lease_until: float
    site_id: int
    target: Target


@dataclass(frozen=True, slots=True)
class Noticed:
    """A server answered, or did not, at that site."""

    server_id: int
    site_id: int
    answered: bool
    at: float
    answer: str


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe's end."""

    claimed: ClaimedHealth
    answered: bool
    at: float
    answer: str


def ensure_health() -> None:
    """Keep exactly one health row per server and site that registers handsets there.

    A new row is due at once.
    """
    now = datetime.now(UTC)
    used = (
        "SELECT DISTINCT v.id AS server_id, r.site_id FROM fleet_server v "
        "JOIN registrations_registration r ON r.group_id = v.group_id "
        "WHERE r.state <> 'disabled'"
    )
    with transaction.atomic():
        changed(
            "INSERT INTO registrations_serverhealth (server_id, site_id, condition, since, "
            "failures, successes, last_answer, due_at) "
            f"SELECT u.server_id, u.site_id, 'unknown', {_AT[is_postgresql()]}, 0, 0, '', "
            f"{_AT[is_postgresql()]} FROM ({used}) AS u WHERE TRUE "
            "ON CONFLICT (server_id, site_id) DO NOTHING",
            [stamp(now.timestamp()), stamp(now.timestamp())],
        )
        changed(
            f"DELETE FROM registrations_serverhealth WHERE (server_id, site_id) NOT IN ({used})", []
        )


_AT = {True: "%s::timestamptz", False: "%s"}


def claim_probes(
    site_ids: Sequence[int] | None, limit: int, lease_s: float, *, now: float | None = None
) -> list[ClaimedHealth]:
    """Take up to `limit` due probes of these sites (None: of all) under a lease."""
    started_at = time.time() if now is None else now
    token, until = uuid.uuid4().hex, started_at + lease_s
    where, parameters = "due_at <= %s", [stamp(started_at)]
    if site_ids is not None:
        where += f" AND {within('site_id')}"
        parameters.append(listed(site_ids))
    skip = "FOR UPDATE SKIP LOCKED" if is_postgresql() else ""
    with transaction.atomic():
        taken = changed(
            "UPDATE registrations_serverhealth SET lease_token = %s, due_at = %s WHERE id IN "
            f"(SELECT id FROM registrations_serverhealth WHERE {where} ORDER BY due_at "
            f"LIMIT %s {skip}) RETURNING id",
            [token_text(token), stamp(until), *parameters, limit],
        )
    if not taken:
        return []
    facts = ServerHealth.objects.filter(pk__in=[pk for (pk,) in taken]).values_list(
        "pk", "site_id", "server_id", "server__address", "server__port", "server__transport"
    )
    return [
        ClaimedHealth(pk, token, until, site, Target(server, address, port, transport))
        for pk, site, server, address, port, transport in facts
    ]


def save_probes(probed: Sequence[Probed]) -> list[tuple[int, int]]:
    """Write the ends of our own probes; return the (server, site) pairs whose condition changed.

    Like all results these are dropped where the lease is no longer ours.
    """
    by_id = {probe.claimed.health_id: probe for probe in probed}
    with transaction.atomic():
        rows = [
            row
            for row in ServerHealth.objects.select_for_update().filter(pk__in=by_id).order_by("pk")
            if row.lease_token == uuid.UUID(by_id[row.pk].claimed.token)
        ]
        moved = []
        for row in rows:
            probe = by_id[row.pk]
            if _take(row, probe.answered, probe.at, probe.answer):
                moved.append(row)
            row.lease_token = None
            row.due_at = datetime.fromtimestamp(probe.at + _wait(row), UTC)
        _write(rows, ["lease_token", "due_at"])
    return _announce(moved)


def hear(noticed: Iterable[Noticed]) -> list[tuple[int, int]]:
    """Write what agents noticed; return the (server, site) pairs whose condition changed."""
    by_pair: dict[tuple[int, int], list[Noticed]] = {}
    for each in noticed:
        by_pair.setdefault((each.server_id, each.site_id), []).append(each)
    if not by_pair:
        return []
    wanted = Q()
    for server_id, site_id in by_pair:
        wanted |= Q(server_id=server_id, site_id=site_id)
    with transaction.atomic():
        rows = list(ServerHealth.objects.select_for_update().filter(wanted).order_by("pk"))
        moved = []
        for row in rows:
            condition = row.condition
            for each in sorted(by_pair[row.server_id, row.site_id], key=lambda each: each.at):
                _take(row, each.answered, each.at, each.answer)
            if row.condition != condition:
                moved.append(row)
        _write(rows, [])
    return _announce(moved)


def concerned(moved: Iterable[tuple[int, int]]) -> list[int]:
    """Return the registrations shown differently now that these (server, site) changed.

    Where nobody is on the server, one of its group stands for the server's own card.
    """
    ids: set[int] = set()
    for server_id, site_id in moved:
        there = Registration.objects.filter(server_id=server_id, site_id=site_id)
        found = list(there.values_list("pk", flat=True))
        if not found:
            group = Registration.objects.filter(group__servers=server_id, site_id=site_id)
            found = list(group.values_list("pk", flat=True)[:1])
        ids.update(found)
    return sorted(ids)


def release_probes(claimed: Sequence[ClaimedHealth], due_at: float) -> None:
    """Give probes back unfinished."""
    for token in {each.token for each in claimed}:
        ids = [each.health_id for each in claimed if each.token == token]
        ServerHealth.objects.filter(pk__in=ids, lease_token=uuid.UUID(token)).update(
            lease_token=None, due_at=datetime.fromtimestamp(due_at, UTC)
        )


def _take(row: ServerHealth, answered: bool, at: float, answer: str) -> bool:
    """Count one answer or miss on the row in memory; return whether its condition changed."""
    moment = datetime.fromtimestamp(at, UTC)
    before = row.condition
    if answered:
        row.successes += 1
        row.failures = 0
        row.heard_at = moment if row.heard_at is None else max(row.heard_at, moment)
        row.last_answer = text(answer)
        if before != _CONDITION.SILENT or row.successes >= ANSWERS_TO_UP:
            row.condition = _CONDITION.UP
    else:
        row.failures += 1
        row.successes = 0
        if row.failures >= MISSES_TO_SILENT:
            row.condition = _CONDITION.SILENT
    if row.condition == before:
        return False
    row.since = moment
    return True


def _wait(row: ServerHealth) -> float:
    in_doubt = row.successes > 0 if row.condition == _CONDITION.SILENT else row.failures > 0
    return DOUBT_EVERY_S if in_doubt else PROBE_EVERY_S


def _write(rows: Sequence[ServerHealth], more: list[str]) -> None:
    """A handful of rows: one per server and site, never one per handset."""
    fields = ["condition", "since", "failures", "successes", "heard_at", "last_answer", *more]
    ServerHealth.objects.bulk_update(rows, fields)


def _announce(moved: Sequence[ServerHealth]) -> list[tuple[int, int]]:
    """Wake the handsets of `fast_failover` groups whose server has gone silent."""
    for row in moved:
        if row.condition != _CONDITION.SILENT:
            continue
        there = Registration.objects.filter(
            server_id=row.server_id, site_id=row.site_id, group__fast_failover=True
        ).exclude(state="disabled")
        cap = there.values_list("group__max_registrations_per_second", flat=True).first() or 0
        spread(list(there.order_by("pk").values_list("pk", flat=True)), cap)
    return [(row.server_id, row.site_id) for row in moved]
