"""Writes an import's rows, kind by kind; each keeps count and says what it touched.

The rows are free of faults and the caller holds the transaction. Handsets and lines are written
set by set: one by one, 10,000 of them would take minutes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import connection
from django.db.models import F, Field, JSONField, Model

from fleet import dns_records, provenance, sql
from fleet.formats.rows import FleetRows, GroupRow, HandsetRow, ServerRow, SiteRow
from fleet.models import Handset, Line, Server, ServerGroup, Site

T = TypeVar("T")
M = TypeVar("M", bound=Model)

BATCH = 500
"""Rows per statement."""

HANDSET_FIELDS = ("name", "model", "group_id", "site_id", "tags")
LINE_FIELDS = ("extension", "domain", "auth_user", "auth_password", "supervision")
REGISTER, OBSERVE, OFF = (
    each.value
    for each in (Line.Supervision.REGISTER, Line.Supervision.OBSERVE, Line.Supervision.OFF)
)
AWAY = 1000
"""Added to priorities while a group's servers change places: no two are ever the same."""


LISTED = 100
"""How many of each kind are listed by name that were made, and as many that were changed."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that an import made or changed."""

    kind: str
    name: str
    fields: tuple[str, ...]
    """What changed of it; empty for something new."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of each kind were made, changed, or were so already; some of them by name."""

    created: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    listed: list[Change] = field(default_factory=list)
    starting: list[str] = field(default_factory=list)
    """The lines that register from now on and did not before."""

    def count(self, kind: str, name: str, *, is_new: bool, fields: Sequence[str]) -> None:
        chosen = self.created if is_new else self.changed if fields else self.unchanged
        chosen[kind] += 1
        if chosen is not self.unchanged and chosen[kind] <= LISTED:
            self.listed.append(Change(kind, name, () if is_new else tuple(fields)))


def batches(items: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def put(thing: Model, given: Mapping[str, Any]) -> list[str]:
    """Set the fields that are given (not None); return the names of those that differed."""
    differing = []
    for name, value in given.items():
        if value is not None and getattr(thing, name) != value:
            setattr(thing, name, value)
            differing.append(name)
    return differing


def sites(rows: Iterable[SiteRow], tally: Tally) -> dict[str, int]:
    """Return the ids of all sites by name."""
    here = {site.name: site for site in Site.objects.all()}
    for row in rows:
        is_new = row.name not in here
        site = here.setdefault(row.name, Site(name=row.name))
        given = {"time_zone": row.time_zone, "has_own_workers": row.has_own_workers}
        fields = put(site, given)
        if is_new or fields:
            site.save()
        tally.count("sites", row.name, is_new=is_new, fields=fields)
    return {name: site.pk for name, site in here.items()}


def groups(rows: Iterable[GroupRow], tally: Tally) -> tuple[dict[str, int], list[int]]:
    """Return the ids of all groups by name, and of those that changed."""
    here = {group.name: group for group in ServerGroup.objects.prefetch_related("servers")}
    moved: list[int] = []
    for row in rows:
        is_new = row.name not in here
        group = here.setdefault(row.name, ServerGroup(name=row.name))
        fields = put(group, _group_fields(row))
        if is_new or fields:
            group.save()
        if row.servers is not None:
            before = [] if is_new else list(group.servers.all())
            fields += ["servers"] * _servers(group, before, row.servers)
        if row.dns_cache is not None:
            fields += ["dns_cache"] * dns_records.put(group, row.dns_cache)
        provenance.put_group(group, row)
        if fields and not is_new:
            moved.append(group.pk)
        tally.count("groups", row.name, is_new=is_new, fields=fields)
    return {name: group.pk for name, group in here.items()}, moved


def _group_fields(row: GroupRow) -> dict[str, object]:
    pins = {"tls_ca": row.tls_ca, "tls_certificate": row.tls_certificate}
    return {"mode": row.mode, **pins, **row.policy}


def _servers(group: ServerGroup, before: list[Server], rows: Sequence[ServerRow]) -> bool:
    """Make the group's servers these, in this order; True when anything differed.

    A server is known by its address, not by its place: whoever swaps two keeps both rows, so
    that a registration goes on pointing at the server that holds it.
    """
    by_address = {(server.address, server.port): server for server in before}
    kept: list[Server] = []
    is_changed = len(before) != len(rows)
    for priority, row in enumerate(rows, 1):
        server = by_address.pop((row.address, row.port), None) or Server(
            group=group, address=row.address, port=row.port
        )
        lost = None if row.lost_features is None else list(row.lost_features)
        given = {
            "priority": priority,
            "transport": row.transport,
            "name": row.name,
            "register": row.register,
            "lost_features": lost,
            "tls_name": row.tls_name,
        }
        is_changed |= bool(put(server, given)) or server.pk is None
        kept.append(server)
    if is_changed:
        Server.objects.filter(pk__in=[server.pk for server in by_address.values()]).delete()
        Server.objects.filter(group=group).update(priority=F("priority") + AWAY)
        for server in kept:
            server.save()
    return is_changed


def handsets(
    rows: FleetRows, sites: Mapping[str, int], groups: Mapping[str, int], tally: Tally
) -> list[int]:
    """Return the ids of the lines that agents must look at again."""
    supervision = {row.name: row.supervision for row in rows.groups if row.supervision}
    names = {pk: name for name, pk in groups.items()}
    by_mac: dict[str, list[HandsetRow]] = {}
    for row in rows.handsets:
        by_mac.setdefault(row.mac, []).append(row)
    touched: list[int] = []
    for macs in batches(list(by_mac)):
        some = {mac: by_mac[mac] for mac in macs}
        here, moved = _put_handsets(some, sites, groups, tally)
        known = Line.objects.filter(handset_id__among=[each.pk for each in here.values()])
        before = {(line.handset_id, line.number): line for line in known}
        touched += [line.pk for line in before.values() if line.handset_id in moved]
        changed: list[Line] = []
        for row in (row for of_one in some.values() for row in of_one):
            handset = here[row.mac]
            wanted = row.supervision or supervision.get(names[handset.group_id])
            line = before.get((handset.pk, row.line))
            if row.is_live:
                wanted = _of_live(line, row, has_moved=handset.pk in moved)
            _put_line(line, handset, row, wanted, changed, tally)
        touched += [line.pk for line in upsert(changed, ("handset", "number"), LINE_FIELDS)]
        provenance.put_handsets((here[mac], row) for mac, of_one in some.items() for row in of_one)
    return touched


def _put_handsets(
    rows: Mapping[str, list[HandsetRow]],
    sites: Mapping[str, int],
    groups: Mapping[str, int],
    tally: Tally,
) -> tuple[dict[str, Handset], set[int]]:
    """Return the handsets by MAC, and the ids of those that changed group or site."""
    here = {handset.mac: handset for handset in Handset.objects.filter(mac__among=rows)}
    moved: set[int] = set()
    changed: list[Handset] = []
    for mac, of_one in rows.items():
        is_new = mac not in here
        handset = here.setdefault(mac, Handset(mac=mac))
        place = (handset.group_id, handset.site_id)
        fields: list[str] = []
        for row in of_one:
            given = {
                "name": row.name,
                "model": row.model,
                "group_id": None if row.group is None else groups[row.group],
                "site_id": None if row.site is None else sites[row.site],
                "tags": None if row.tags is None else list(row.tags),
            }
            fields += put(handset, given)
        if not is_new and place != (handset.group_id, handset.site_id):
            moved.add(handset.pk)
        if is_new or fields:
            changed.append(handset)
        tally.count("handsets", mac, is_new=is_new, fields=fields)
    here |= {handset.mac: handset for handset in upsert(changed, ("mac",), HANDSET_FIELDS)}
    return here, moved


def _put_line(
    before: Line | None,
    handset: Handset,
    row: HandsetRow,
    supervision: str | None,
    changed: list[Line],
    tally: Tally,
) -> None:
    line = before or Line(handset_id=handset.pk, number=row.line)
    given = {name: getattr(row, name) for name in LINE_FIELDS}
    if before is None:
        # The handset's own rule: without a user of its own the address's user authenticates.
        given["auth_user"] = row.auth_user or row.extension
        given["supervision"] = supervision
    elif row.supervision is None:
        given["supervision"] = supervision
    was_on = before is not None and before.supervision == REGISTER
    fields = put(line, given)
    if before is None or fields:
        changed.append(line)
    name = f"{row.mac} {row.line}"
    if line.supervision == REGISTER and not was_on:
        tally.starting.append(name)
    tally.count("lines", name, is_new=before is None, fields=fields)


def _of_live(before: Line | None, row: HandsetRow, *, has_moved: bool) -> str:
    """What somebody chose stays, but nobody chose to bind a device's new address or servers."""
    if before is None:
        return OBSERVE
    is_same = (before.extension, before.domain) == (row.extension, row.domain) and not has_moved
    return before.supervision if is_same or before.supervision == OFF else OBSERVE


def upsert(things: list[M], unique: tuple[str, ...], names: tuple[str, ...]) -> list[M]:
    """Insert or update in one statement per BATCH, and give each its id.

    `unique` alone decides which row is meant; of one that is there, `names` are set.
    """
    if not things:
        return []
    meta, key = type(things[0])._meta, [things[0]._meta.get_field(name) for name in unique]
    given = [
        f for f in meta.concrete_fields if not (f.primary_key or f.generated or f.has_db_default())
    ]
    columns = {field.column: field.db_type(connection) or "" for field in given}
    told = [meta.get_field(name).column for name in names]
    keys = ", ".join(field.column for field in key)
    statement = (
        f"INSERT INTO {meta.db_table} ({', '.join(columns)}) SELECT {', '.join(columns)} "
        f"FROM {sql.rows(columns)} WHERE true ON CONFLICT ({keys}) DO UPDATE SET "
        f"{', '.join(f'{column} = EXCLUDED.{column}' for column in told)} "
        f"RETURNING {keys}, {meta.pk.column}"
    )
    for some in batches(things):
        rows = [{field.column: _stored(field, thing) for field in given} for thing in some]
        ids = {tuple(of): pk for *of, pk in sql.changed(statement, [sql.packed(rows)])}
        for thing in some:
            thing.pk = ids[tuple(getattr(thing, field.attname) for field in key)]
    return things


def _stored(field: Field, thing: Model) -> Any:
    """As JSON that the column reads: what is JSON itself goes in as it is."""
    value = getattr(thing, field.attname)
    return value if isinstance(field, JSONField) else field.get_prep_value(value)
