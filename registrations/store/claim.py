"""Taking due registrations under a lease, keeping the lease, and giving it back."""

import json
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction

from fleet.models import Line, ServerGroup
from registrations.keeping import FORMAT, Entry
from registrations.queries import holds_at
from registrations.sip.targets import Question, Record
from registrations.store.news import news_at
from registrations.store.places import configured, is_literal, own_records, targets_of
from registrations.store.sql import (
    changed,
    is_postgresql,
    listed,
    lock_in_order,
    stamp,
    token_text,
    within,
)
from registrations.values import (
    Account,
    FailBackMode,
    GroupMode,
    ListScope,
    News,
    OnMassRejection,
    Policy,
    Target,
)

CALLED_HOME_S = 3600.0
"""How far ahead a line of a `fast_failover` group is told to wait for a job that calls it home."""
CSEQ_BLOCK = 100
"""CSeq numbers a claim sets aside: the next claim after a lost lease is above them (R16)."""

_POLICY = tuple(Policy.__dataclass_fields__)
_WORDS = {
    "fail_back_mode": FailBackMode,
    "register_list_scope": ListScope,
    "on_mass_rejection": OnMassRejection,
}


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A server group as agents need it; shared by all lines of one claim."""

    group_id: int
    mode: GroupMode
    policy: Policy
    entries: tuple[Entry, ...]
    """Those configured by name have no targets yet: see `names`."""
    names: Mapping[int, Target] = field(default_factory=dict)
    """By server: what is configured where that is a name; `sip.targets.locate` finds its places."""
    records: Mapping[Question, tuple[Record, ...]] = field(default_factory=dict)
    """The group's own records, for where DNS has nothing."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """One registration under our lease, with everything its agent needs."""

    registration_id: int
    token: str
    """The lease's token, 32 hex digits; one for all rows of a claim."""
    lease_until: float
    site_id: int
    server_id: int | None
    """Where it is (or the group's primary), for the bound per server."""
    cseq_offset: int
    wish: str
    wish_version: int
    wish_by: str
    snapshot: Mapping[str, Any]
    account: Account
    group: GroupFacts
    news: News
    """What the fleet knows of the servers, seen from this site."""
    wish_request: str = ""
    """Which request the wish goes back to: its id."""


def claim_due(
    site_ids: Sequence[int] | None,
    limit: int,
    lease_s: float,
    *,
    busy_servers: Collection[int] = (),
    now: float | None = None,
) -> list[Claimed]:
    """Take up to `limit` due rows of these sites (None: of all), the longest due first.

    Rows on one of `busy_servers` are left to others; those of a site whose own network is suspected
    are left alone: nothing moves there; so are those that a newer version of Rollcall wrote in a
    format of its own. Each row is taken by one claimer only; its `due_at` becomes
    the end of the lease, so that a row whose claimer dies comes back by itself.
    """
    if limit <= 0:
        return []
    started_at = time.time() if now is None else now
    token = uuid.uuid4().hex
    where, parameters = _due(site_ids, busy_servers, started_at)
    until = started_at + lease_s
    with transaction.atomic():
        taken = changed(
            _CLAIM[is_postgresql()].format(where=where),
            _claim_parameters(parameters, limit, token, started_at, until),
        )
    return _with_facts(taken, token, until) if taken else []


_FIELDS = (
    "id, line_id, group_id, site_id, server_id, wish, wish_version, wish_by, wish_request, "
    "clock_set_s, snapshot"
)
_SET = f"lease_token = %s, claimed_at = %s, due_at = %s, cseq_reserve = cseq_reserve + {CSEQ_BLOCK}"
_CLAIM = {
    # An array, and no join: the planner would rather read the whole table than look up 500 rows.
    True: "WITH due AS MATERIALIZED (SELECT id AS due_id "
    "FROM registrations_registration WHERE {where} ORDER BY due_at LIMIT %s "
    "FOR UPDATE SKIP LOCKED) "
    f"UPDATE registrations_registration SET {_SET} "
    "WHERE id = ANY(ARRAY(SELECT due_id FROM due)) "
    "RETURNING array_position(ARRAY(SELECT due_id FROM due), id), "
    f"cseq_reserve - {CSEQ_BLOCK}, {_FIELDS}",
    False: f"UPDATE registrations_registration SET {_SET} WHERE id IN (SELECT id "
    "FROM registrations_registration WHERE {where} ORDER BY due_at LIMIT %s) "
    f"RETURNING 0, cseq_reserve - {CSEQ_BLOCK}, {_FIELDS}",
}


def _due(
    site_ids: Sequence[int] | None, busy_servers: Collection[int], now: float
) -> tuple[str, list[Any]]:
    where = f"due_at <= %s AND snapshot_format <= {FORMAT} AND {_IN_PEACE} AND {_REGISTERS}"
    parameters: list[Any] = [stamp(now)]
    if site_ids is not None and len(site_ids) == 1:
        # Then the index gives the order too: no backlog of a whole fleet is sorted for each claim.
        where += " AND site_id = %s"
        parameters.append(site_ids[0])
    elif site_ids is not None:
        where += f" AND {within('site_id')}"
        parameters.append(listed(site_ids))
    if busy_servers:
        # A line without a server goes to its group's primary first.
        where += f" AND NOT ({within(f'COALESCE(server_id, ({_PRIMARY_OF_ROW}))')})"
        parameters.append(listed(busy_servers))
    return where, parameters


_IN_PEACE = (
    "site_id NOT IN (SELECT n.site_id FROM registrations_sitenetwork n "
    "WHERE n.suspected_since IS NOT NULL)"
)
_REGISTERS = (
    "EXISTS (SELECT 1 FROM fleet_line l WHERE l.id = line_id AND l.supervision = 'register')"
)
"""Whatever made a row due, no agent ever binds a line that is not its own to bind."""
_PRIMARY_OF_ROW = (
    "SELECT s.id FROM fleet_server s WHERE s.group_id = registrations_registration.group_id "
    "AND s.register ORDER BY s.priority LIMIT 1"
)


def _claim_parameters(
    where: list[Any], limit: int, token: str, now: float, until: float
) -> list[Any]:
    leased = [token_text(token), stamp(now), stamp(until)]
    return [*where, limit, *leased] if is_postgresql() else [*leased, *where, limit]


def _with_facts(taken: list[tuple[Any, ...]], token: str, until: float) -> list[Claimed]:
    taken.sort(key=lambda row: (row[0], row[2]))
    accounts = accounts_of(row[3] for row in taken)
    groups = groups_of({row[4] for row in taken})
    now = time.time()
    news = news_at({row[5] for row in taken}, now)
    holds = holds_at(now, [row[2] for row in taken])
    claimed = []
    for row in taken:
        _, offset, pk, line, group_id, site, server, wish, version, by, request, step, kept = row
        group = groups[group_id]
        primary = next((e.server_id for e in group.entries if e.register), None)
        claimed.append(
            Claimed(
                registration_id=pk,
                token=token,
                lease_until=until,
                site_id=site,
                server_id=server or primary,
                cseq_offset=offset,
                wish=wish,
                wish_version=version,
                wish_by=by,
                wish_request=request,
                snapshot=json.loads(kept) if isinstance(kept, str) else kept,
                account=accounts[line],
                group=group,
                news=replace(
                    _told(holds.told(news[site], pk, group_id, site), group, now), clock_set=step
                ),
            )
        )
    return claimed


def _told(news: News, group: GroupFacts, now: float) -> News:
    """In a failover group that acts on news of the fleet, going home is a job's matter."""
    if group.mode is GroupMode.FAILOVER and group.policy.fast_failover:
        return replace(news, stays_until=max(news.stays_until, now + CALLED_HOME_S))
    return news


def accounts_of(line_ids: Iterable[int]) -> dict[int, Account]:
    """Return who registers, by line."""
    lines = Line.objects.filter(pk__in=list(line_ids)).values_list(
        "pk", "number", "extension", "domain", "auth_user", "auth_password", "handset__mac"
    )
    return {
        pk: Account(
            user=extension,
            domain=domain,
            auth_user=auth_user or extension,
            password=password,
            instance=f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, f'{mac}/{number}')}",
        )
        for pk, number, extension, domain, auth_user, password, mac in lines
    }


def groups_of(group_ids: Collection[int]) -> dict[int, GroupFacts]:
    """Return these server groups as agents need them."""
    groups = ServerGroup.objects.filter(pk__in=group_ids).prefetch_related("servers", "dns_records")
    return {group.pk: _facts(group) for group in groups}


def policy_of(group: ServerGroup) -> Policy:
    """Return a group's policy as its agents decide by it."""
    policy = {name: getattr(group, name) for name in _POLICY}
    for name, enum in _WORDS.items():
        policy[name] = enum(policy[name])
    return Policy(**policy)


def _facts(group: ServerGroup) -> GroupFacts:
    servers = sorted(group.servers.all(), key=lambda server: server.priority)
    entries = tuple(
        Entry(
            server_id=server.pk,
            priority=server.priority,
            register=server.register,
            targets=targets_of(server),
            label=str(server),
            tls_ca=group.tls_ca,
            tls_certificate=group.tls_certificate,
        )
        for server in servers
    )
    names = {server.pk: configured(server) for server in servers if not is_literal(server.address)}
    records = own_records(group.dns_records.all()) if names else {}
    return GroupFacts(group.pk, GroupMode(group.mode), policy_of(group), entries, names, records)


def extend(leases: Mapping[str, Sequence[int]], until: float) -> set[int]:
    """Move the lease of these rows (token -> ids) to `until`; return the ids still ours."""
    kept: set[int] = set()
    for token, ids in leases.items():
        with transaction.atomic():
            lock_in_order(ids)
            extended = changed(
                "UPDATE registrations_registration SET due_at = %s "
                f"WHERE {within('id')} AND lease_token = %s RETURNING id",
                [stamp(until), listed(ids), token_text(token)],
            )
        kept.update(pk for (pk,) in extended)
    return kept


def release(leases: Mapping[str, Sequence[int]], due_at: float) -> int:
    """Give rows back unfinished, due at `due_at`, their state untouched; return how many.

    What their agents may have sent stays covered: the reserved CSeq numbers are not given back.
    """
    released = 0
    for token, ids in leases.items():
        with transaction.atomic():
            lock_in_order(ids)
            returned = changed(
                "UPDATE registrations_registration SET due_at = %s, "
                "lease_token = NULL, claimed_at = NULL "
                f"WHERE {within('id')} AND lease_token = %s RETURNING id",
                [stamp(due_at), listed(ids), token_text(token)],
            )
        released += len(returned)
    return released
