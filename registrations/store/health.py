"""What a site's workers know of each server: up, silent, since when; and whose turn a probe is.

A server falls silent after MISSES_TO_SILENT misses in a row. It is up again only after several good
answers close together (three within a minute, unless somebody set another limit), a REGISTER's
among them: one that answers OPTIONS but serves no users stays silent, and one that comes and goes
is not run after.
"""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Q

from registrations.incidents.limits import LIMITS, SERVER_SILENT, Limit
from registrations.models import IncidentLimit, Registration, ServerHealth
from registrations.store import chronicle, sickness, suspicion
from registrations.store.chronicle import Turn
from registrations.store.noticed import Noticed
from registrations.store.pace import pause, spread_from
from registrations.store.sql import changed, is_postgresql, stamp, text

PROBE_EVERY_S = 10.0
DOUBT_EVERY_S = 1.5
"""After a first miss, and after a good answer of a silent server: the second look comes soon."""
MISSES_TO_SILENT = 2
UNUSED = "No handset of this site registers there any more."

Pair = tuple[int, int]
"""(server, site)"""
_CONDITION = ServerHealth.Condition


def ensure_health() -> None:
    """Keep exactly one health row per server and site that registers handsets there.

    A new row is due at once.
    """
    now = datetime.now(UTC)
    used = (
        "SELECT DISTINCT v.id AS server_id, r.site_id FROM fleet_server v "
        "JOIN registrations_registration r ON r.group_id = v.group_id "
        "JOIN fleet_line l ON l.id = r.line_id "
        "WHERE r.state <> 'disabled' OR l.supervision = 'observe'"
    )
    no = "FALSE" if is_postgresql() else "0"
    at = "%s::timestamptz" if is_postgresql() else "%s"
    with transaction.atomic():
        changed(
            "INSERT INTO registrations_serverhealth (server_id, site_id, condition, since, "
            "failures, successes, last_answer, register_missed, is_told, due_at) "
            f"SELECT u.server_id, u.site_id, 'unknown', {at}, 0, 0, '', {no}, {no}, {at} "
            f"FROM ({used}) AS u WHERE TRUE ON CONFLICT (server_id, site_id) DO NOTHING",
            [stamp(now.timestamp()), stamp(now.timestamp())],
        )
        dropped = changed(
            f"DELETE FROM registrations_serverhealth WHERE (server_id, site_id) NOT IN ({used}) "
            "RETURNING server_id, site_id, condition",
            [],
        )
        chronicle.record(
            Turn(server_id, now, _CONDITION.UNKNOWN, condition, site_id, reason=UNUSED)
            for server_id, site_id, condition in dropped
            if condition != _CONDITION.UNKNOWN
        )
    suspicion.judge_again()


def hear(noticed: Iterable[Noticed]) -> list[Pair]:
    """Write what was noticed; return the (server, site) pairs that are shown differently now."""
    heard = sorted(noticed, key=lambda each: each.at)
    if not heard:
        return []
    by_pair: dict[Pair, list[Noticed]] = {}
    for each in heard:
        by_pair.setdefault((each.server_id, each.site_id), []).append(each)
    with transaction.atomic():
        rows = _locked(by_pair)
        turns: list[Turn] = []
        to_up = answers_to_up(rows)
        moved = [r for r in rows if _take(r, by_pair[r.server_id, r.site_id], turns, to_up)]
        for row in rows:
            _hasten(row)
        _write(rows)
        chronicle.record(turns)
    return conclude(heard, rows, moved)


def conclude(
    heard: Sequence[Noticed], rows: Sequence[ServerHealth], moved: Sequence[ServerHealth]
) -> list[Pair]:
    """Draw the conclusions of what was noticed, once the servers' own rows are written."""
    for each in heard:
        if each.code == 503 and each.retry_after and each.place is not None:
            pause(each.server_id, each.place, each.at + each.retry_after, each.at)
    pairs = [(row.server_id, row.site_id) for row in moved]
    pairs += sickness.note(heard)
    sites = {row.site_id for row in rows if row in moved or row.condition == _CONDITION.SILENT}
    if sites:
        pairs += suspicion.judge(sites)
    if sites or any(each.answered for each in heard):
        _tell({row.site_id for row in rows})
    return list(dict.fromkeys(pairs))


def answers_to_up(rows: Iterable[ServerHealth]) -> Limit:
    """Return how many good answers (`times`, `within_s`) make silent servers of these rows up."""
    is_asked = any(row.condition == _CONDITION.SILENT for row in rows)
    own = IncidentLimit.objects.filter(kind=SERVER_SILENT).first() if is_asked else None
    return LIMITS[SERVER_SILENT] if own is None else own.limit


def take(row: ServerHealth, noticed: Noticed, turns: list[Turn], to_up: Limit) -> bool:
    """Count one answer or miss on the row in memory; return whether its condition changed.

    What its history must say of that is added to `turns`. `to_up` as `answers_to_up` has it.
    """
    if _is_outdated(row, noticed):
        return False
    moment = datetime.fromtimestamp(noticed.at, UTC)
    before = row.condition
    known = _look(row, moment, turns)
    if noticed.answered:
        _take_answer(row, noticed, moment, to_up)
    else:
        row.failures += 1
        row.successes, row.good_since = 0, None
        row.register_missed = row.register_missed or noticed.is_register
        if row.failures >= MISSES_TO_SILENT:
            row.condition = _CONDITION.SILENT
            unanswered_at = datetime.fromtimestamp(noticed.unanswered_at, UTC)
            row.silent_at = max(row.silent_at or unanswered_at, unanswered_at)
        if row.failures == MISSES_TO_SILENT:
            # Silent again before it was up again: whoever came home meanwhile must be woken too.
            row.is_told = False
    if row.condition != known:
        where = (row.server_id, moment, row.condition, known, row.site_id)
        turns.append(Turn(*where, reason=noticed.answer))
    if row.condition == before:
        return False
    row.since, row.is_told = moment, False
    return True


def _is_outdated(row: ServerHealth, noticed: Noticed) -> bool:
    """A miss is told seconds after its request left: an answer to a later one may be known by then.

    Not where the server is known to answer OPTIONS only.
    """
    if noticed.answered or row.heard_at is None or row.register_missed:
        return False
    return noticed.unanswered_at < row.heard_at.timestamp()


def _look(row: ServerHealth, at: datetime, turns: list[Turn]) -> str:
    """Note that somebody looked at `at`; return what was known of the server until then."""
    unseen = chronicle.unseen_since(row, at, timedelta(seconds=PROBE_EVERY_S))
    row.noticed_at = at if row.noticed_at is None else max(row.noticed_at, at)
    if unseen is None or row.condition == _CONDITION.UNKNOWN:
        return row.condition
    turns.append(Turn(row.server_id, unseen, _CONDITION.UNKNOWN, row.condition, row.site_id))
    return _CONDITION.UNKNOWN


def silent_at(row: ServerHealth) -> datetime:
    """By when a silent server was last seen to be so: what it answered before is outdated."""
    return row.silent_at or row.since


def wait(row: ServerHealth) -> float:
    """Seconds until the next look at this server."""
    in_doubt = row.successes > 0 if row.condition == _CONDITION.SILENT else row.failures > 0
    return DOUBT_EVERY_S if in_doubt else PROBE_EVERY_S


def concerned(moved: Iterable[Pair]) -> list[int]:
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


def _locked(pairs: Iterable[Pair]) -> list[ServerHealth]:
    wanted = Q()
    for server_id, site_id in pairs:
        wanted |= Q(server_id=server_id, site_id=site_id)
    return list(ServerHealth.objects.select_for_update().filter(wanted).order_by("pk"))


def _take(row: ServerHealth, heard: Sequence[Noticed], turns: list[Turn], to_up: Limit) -> bool:
    condition = row.condition
    for each in heard:
        take(row, each, turns, to_up)
    return bool(row.condition != condition)


def _take_answer(row: ServerHealth, noticed: Noticed, moment: datetime, to_up: Limit) -> None:
    row.heard_at = moment if row.heard_at is None else max(row.heard_at, moment)
    row.last_answer = text(noticed.answer)
    row.register_missed = row.register_missed and not noticed.is_register
    if not row.register_missed:
        # An OPTIONS does not make good for a REGISTER that nobody answered.
        row.failures = 0
    if row.condition != _CONDITION.SILENT:
        if not row.failures:
            row.condition = _CONDITION.UP
        return
    if not noticed.is_good:
        return
    if row.good_since is None or moment - row.good_since > timedelta(seconds=to_up.within_s):
        row.good_since, row.successes = moment, 0
    row.successes += 1
    if row.successes >= to_up.times:
        row.condition = _CONDITION.UP
        row.good_since = None


def _hasten(row: ServerHealth) -> None:
    """Agents have raised a doubt: the next probe comes sooner."""
    if row.lease_token is None and wait(row) < PROBE_EVERY_S:
        soon = datetime.fromtimestamp(time.time() + wait(row), UTC)
        row.due_at = min(row.due_at, soon)


def _write(rows: Sequence[ServerHealth]) -> None:
    """A handful of rows: one per server and site, never one per handset."""
    ServerHealth.objects.bulk_update(rows, FIELDS)


FIELDS = (
    *("condition", "since", "failures", "successes", "good_since", "register_missed", "is_told"),
    *("heard_at", "noticed_at", "silent_at", "last_answer", "due_at"),
)


def _tell(site_ids: set[int]) -> None:
    """Wake the handsets of `fast_failover` groups whose server has fallen silent, once.

    Only when another server of the group has answered at that site since: else the silence may
    be the site's own network, and a move would lead nowhere. Until then that one is asked.
    """
    untold = ServerHealth.objects.filter(
        site_id__in=site_ids,
        condition=_CONDITION.SILENT,
        is_told=False,
        server__group__fast_failover=True,
    ).select_related("server__group")
    for row in untold:
        others = ServerHealth.objects.filter(
            site_id=row.site_id, server__group=row.server.group_id
        ).exclude(pk=row.pk)
        if not others.filter(condition=_CONDITION.UP, heard_at__gte=row.since).exists():
            now = datetime.now(UTC)
            others.filter(lease_token=None, due_at__gt=now).exclude(
                condition=_CONDITION.SILENT
            ).update(due_at=now)
            continue
        if ServerHealth.objects.filter(pk=row.pk, is_told=False).update(is_told=True):
            cap = row.server.group.max_registrations_per_second
            spread_from(row.server_id, row.site_id, cap)
