"""Taking due registrations under a lease, keeping the lease, and giving it back."""

import json
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction

from registrations.keeping import FORMAT
from registrations.store.accounts import accounts_of
from registrations.store.groups import GroupFacts, groups_of
from registrations.store.news import told_at
from registrations.store.sql import (
    changed,
    is_postgresql,
    listed,
    lock_in_order,
    stamp,
    token_text,
    within,
)
from registrations.values import Account, GroupMode, News

CALLED_HOME_S = 3600.0
"""How far ahead a line of a `fast_failover` group is told to wait for a job that calls it home."""
_read = json.JSONDecoder().raw_decode
"""Nothing stands before or behind a document, which `json.loads` would look for."""
CSEQ_BLOCK = 100
"""CSeq numbers a claim sets aside: the next claim after a lost lease is above them (R16)."""


@dataclass(slots=True)
class Claimed:
    """One registration under our lease, with everything its agent needs. Nobody changes it.

    Not frozen: that would cost three times as much to make, and a storm makes thousands.
    """

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
    where, parameters = _due(site_ids, busy_servers, started_at)
    lease = uuid.uuid4().hex, started_at + lease_s
    with transaction.atomic():
        due = [
            pk for (pk,) in changed(_DUE[is_postgresql()].format(where=where), [*parameters, limit])
        ]
        taken = _lease(due, lease, started_at) if due else []
    return _with_facts(taken, *lease) if taken else []


# Ids only: where all that is due must be sorted, it is not with all its snapshots.
_DUE_IDS = "SELECT r.id FROM registrations_registration r WHERE {where} ORDER BY r.due_at LIMIT %s"
_DUE = {True: f"{_DUE_IDS} FOR NO KEY UPDATE SKIP LOCKED", False: _DUE_IDS}
_FIELDS = (
    "id, line_id, group_id, site_id, server_id, wish, wish_version, wish_by, wish_request, "
    "clock_set_s, snapshot"
)


def _lease(due: list[int], lease: tuple[str, float], now: float) -> list[tuple[Any, ...]]:
    """Put these, which are locked, under the lease; return their fields in the order given."""
    token, until = lease
    leased = changed(
        "UPDATE registrations_registration SET lease_token = %s, claimed_at = %s, due_at = %s, "
        f"cseq_reserve = cseq_reserve + {CSEQ_BLOCK} WHERE {within('id')} "
        f"RETURNING cseq_reserve - {CSEQ_BLOCK}, {_FIELDS}",
        [token_text(token), stamp(now), stamp(until), listed(due)],
    )
    place = {pk: place for place, pk in enumerate(due)}
    return sorted(leased, key=lambda row: place[row[1]])


def _due(
    site_ids: Sequence[int] | None, busy_servers: Collection[int], now: float
) -> tuple[str, list[Any]]:
    where = f"r.due_at <= %s AND r.snapshot_format <= {FORMAT} AND {_IN_PEACE} AND {_REGISTERS}"
    parameters: list[Any] = [stamp(now)]
    if site_ids is not None and len(site_ids) == 1:
        # Then the index gives the order too: no backlog of a whole fleet is sorted for each claim.
        where += " AND r.site_id = %s"
        parameters.append(site_ids[0])
    elif site_ids is not None:
        where += f" AND {within('r.site_id')}"
        parameters.append(listed(site_ids))
    if busy_servers:
        # A line without a server goes to its group's primary first.
        where += f" AND NOT ({within(f'COALESCE(r.server_id, ({_PRIMARY_OF_ROW}))')})"
        parameters.append(listed(busy_servers))
    return where, parameters


_IN_PEACE = (
    "r.site_id NOT IN (SELECT n.site_id FROM registrations_sitenetwork n "
    "WHERE n.suspected_since IS NOT NULL)"
)
_REGISTERS = (
    "EXISTS (SELECT 1 FROM fleet_line l WHERE l.id = r.line_id AND l.supervision = 'register')"
)
"""Whatever made a row due, no agent ever binds a line that is not its own to bind."""
_PRIMARY_OF_ROW = (
    "SELECT s.id FROM fleet_server s WHERE s.group_id = r.group_id "
    "AND s.register ORDER BY s.priority LIMIT 1"
)


def _with_facts(taken: list[tuple[Any, ...]], token: str, until: float) -> list[Claimed]:
    now = time.time()
    accounts = accounts_of(row[2] for row in taken)
    groups = groups_of({row[3] for row in taken})
    told = _Told(taken, groups, now)
    claimed = []
    for row in taken:
        offset, pk, line, group_id, site, server, wish, version, by, request, step, kept = row
        group = groups[group_id]
        claimed.append(
            Claimed(
                registration_id=pk,
                token=token,
                lease_until=until,
                site_id=site,
                server_id=server or group.primary,
                cseq_offset=offset,
                wish=wish,
                wish_version=version,
                wish_by=by,
                wish_request=request,
                snapshot=_read(kept)[0] if isinstance(kept, str) else kept,
                account=accounts[line],
                group=group,
                news=told.of(pk, group_id, site, step),
            )
        )
    return claimed


class _Told:
    """What the agents of one claim are told: one News for all of a group and site, as a rule."""

    def __init__(
        self, taken: list[tuple[Any, ...]], groups: Mapping[int, GroupFacts], now: float
    ) -> None:
        news, holds = told_at({row[4] for row in taken}, [row[1] for row in taken], now)
        self._stays = holds.rolled_back
        self._shared = {
            (group_id, site): _told(holds.told(news[site], group_id, site), groups[group_id], now)
            for group_id, site in {(row[3], row[4]) for row in taken}
        }

    def of(self, registration_id: int, group_id: int, site_id: int, clock_set: float) -> News:
        news = self._shared[group_id, site_id]
        stays = self._stays.get(registration_id, 0.0)
        if not stays and not clock_set:
            return news
        return replace(news, stays_until=max(news.stays_until, stays), clock_set=clock_set)


def _told(news: News, group: GroupFacts, now: float) -> News:
    """In a failover group that acts on news of the fleet, going home is a job's matter."""
    if group.mode is GroupMode.FAILOVER and group.policy.fast_failover:
        return replace(news, stays_until=max(news.stays_until, now + CALLED_HOME_S))
    return news


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
