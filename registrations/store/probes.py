"""Probes: claimed under a lease like registrations, saved only while the lease is ours.

A probe is an OPTIONS. In doubt it is a *fetch* instead, a REGISTER without a Contact from one of
the handsets there (RFC 3261 section 10.2.3): it changes nothing and shows whether users are served.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from registrations.models import Registration, ServerHealth, State
from registrations.store import chronicle, health
from registrations.store.accounts import accounts_of
from registrations.store.chronicle import Turn
from registrations.store.groups import GroupFacts, groups_of
from registrations.store.noticed import Noticed
from registrations.store.pace import pauses
from registrations.store.places import configured, is_literal, targets_of
from registrations.store.sql import changed, is_postgresql, listed, stamp, token_text, within
from registrations.values import Account, HostPort, Target

_CONDITION = ServerHealth.Condition


@dataclass(frozen=True, slots=True)
class ClaimedHealth:
    """A probe that is ours to send."""

    health_id: int
    token: str
    lease_until: float
    site_id: int
    target: Target
    rate: float = 0.0
    """The server's cap of REGISTERs per second; a fetch is one."""
    registration_id: int | None = None
    """The handset a fetch is made for; None: an OPTIONS."""
    account: Account | None = None
    is_in_doubt: bool = False
    group: GroupFacts | None = None
    """Where the server is configured by name: what finds its places."""
    paused: Mapping[HostPort, float] = field(default_factory=dict)
    """Places that asked to be left alone, and until when."""


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe's end."""

    claimed: ClaimedHealth
    answered: bool
    at: float
    answer: str
    code: int | None = None
    verdict: str = ""
    retry_after: int | None = None
    asked_at: float | None = None
    """Where nobody answered: when the request left for the last time."""


def claim_probes(
    site_ids: Sequence[int] | None, limit: int, lease_s: float, *, now: float | None = None
) -> list[ClaimedHealth]:
    """Take up to `limit` due probes of these sites (None: of all) under a lease.

    A place that asked to be left alone is not probed until its pause is over.
    """
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
    rows = list(
        ServerHealth.objects.filter(pk__in=[pk for (pk,) in taken]).select_related(
            "server__group", "server__pace"
        )
    )
    paused = pauses(started_at)
    claimed = _with_askers(rows, token, until)
    asked = []
    for each in claimed:
        ends = paused.get(each.target.host_port) if each.group is None else None
        if ends is None:
            asked.append(replace(each, paused=paused))
        else:
            release_probes([each], ends)
    return asked


def _with_askers(rows: Sequence[ServerHealth], token: str, until: float) -> list[ClaimedHealth]:
    askers = {row.pk: _asker(row) for row in rows if _is_in_doubt(row)}
    named = {row.server.group_id for row in rows if not is_literal(row.server.address)}
    groups = groups_of(named) if named else {}
    lines = {found[1] for found in askers.values() if found is not None}
    accounts: Mapping[int, Account] = accounts_of(lines) if lines else {}
    claimed = []
    for row in rows:
        server, asker = row.server, askers.get(row.pk)
        claimed.append(
            ClaimedHealth(
                row.pk,
                token,
                until,
                row.site_id,
                next(iter(targets_of(server)), configured(server)),
                rate=server.group.max_registrations_per_second,
                registration_id=asker[0] if asker else None,
                account=accounts[asker[1]] if asker else None,
                is_in_doubt=_is_in_doubt(row),
                group=_only(groups.get(server.group_id), server.pk),
            )
        )
    return claimed


def _only(group: GroupFacts | None, server_id: int) -> GroupFacts | None:
    if group is None or server_id not in group.names:
        return None
    return replace(group, names={server_id: group.names[server_id]})


def _is_in_doubt(row: ServerHealth) -> bool:
    if row.condition == _CONDITION.SILENT or row.failures > 0 or row.register_missed:
        return True
    return _is_sick(row)


def _is_sick(row: ServerHealth) -> bool:
    pace = getattr(row.server, "pace", None)
    return pace is not None and pace.sick_since is not None


def _asker(row: ServerHealth) -> tuple[int, int] | None:
    """Return (registration, line) of a handset to ask with, drawn anew each time.

    One the server refused, where it is sick; else one that holds a binding, so that its
    credentials are good; else one that seeks; else any that is not switched off.
    """
    here = Registration.objects.filter(site_id=row.site_id, group_id=row.server.group_id)
    here = here.exclude(state=State.DISABLED)
    bound = Q(state__in=(State.PRIMARY, State.SECONDARY, State.FALLBACK))
    seeking = Q(state__in=(State.REGISTERING, State.UNREGISTERED))
    choices: list[QuerySet[Registration]] = [here.filter(bound), here.filter(seeking), here]
    if _is_sick(row):
        refused = Q(acceptances__server=row.server_id, acceptances__refused_at__isnull=False)
        choices.insert(0, here.filter(refused))
    for choice in choices:
        found = choice.order_by("?").values_list("pk", "line_id").first()
        if found is not None:
            return found
    return None


def save_probes(probed: Sequence[Probed]) -> list[health.Pair]:
    """Write the ends of our own probes; return the (server, site) pairs shown differently now.

    Like all results these are dropped where the lease is no longer ours.
    """
    by_id = {probe.claimed.health_id: probe for probe in probed}
    with transaction.atomic():
        rows = [
            row
            for row in ServerHealth.objects.select_for_update().filter(pk__in=by_id).order_by("pk")
            if row.lease_token == uuid.UUID(by_id[row.pk].claimed.token)
        ]
        heard, moved, turns = [], [], list[Turn]()
        to_up = health.answers_to_up(rows)
        for row in rows:
            noticed = _noticed(row, by_id[row.pk])
            heard.append(noticed)
            if health.take(row, noticed, turns, to_up):
                moved.append(row)
            row.lease_token = None
            row.due_at = datetime.fromtimestamp(noticed.at + health.wait(row), UTC)
        ServerHealth.objects.bulk_update(rows, [*health.FIELDS, "lease_token"])
        chronicle.record(turns)
    return health.conclude(heard, rows, moved)


def _noticed(row: ServerHealth, probe: Probed) -> Noticed:
    claimed = probe.claimed
    return Noticed(
        row.server_id,
        row.site_id,
        probe.answered,
        probe.at,
        probe.answer,
        code=probe.code,
        verdict=probe.verdict,
        retry_after=probe.retry_after,
        place=claimed.target.host_port,
        registration_id=claimed.registration_id,
        is_fetch=claimed.registration_id is not None,
        stands_in=claimed.is_in_doubt and claimed.registration_id is None,
        asked_at=probe.asked_at,
    )


def release_probes(claimed: Sequence[ClaimedHealth], due_at: float) -> None:
    """Give probes back unfinished."""
    for token in {each.token for each in claimed}:
        ids = [each.health_id for each in claimed if each.token == token]
        ServerHealth.objects.filter(pk__in=ids, lease_token=uuid.UUID(token)).update(
            lease_token=None, due_at=datetime.fromtimestamp(due_at, UTC)
        )
