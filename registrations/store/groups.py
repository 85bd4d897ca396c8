"""Server groups as agents need them: asked for with every claim, made anew only where they changed.

A group's rows are compared as text with those its facts were made from. So an edit is in the next
claim, whoever wrote it, and a claim of a fleet at rest makes nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from django.db import models

from fleet.models import DnsRecord, Server, ServerGroup
from registrations.keeping import Entry
from registrations.sip.targets import Question, Record
from registrations.store.places import configured, is_literal, own_records, targets_of
from registrations.store.sql import changed, is_postgresql, listed, within
from registrations.values import (
    FailBackMode,
    GroupMode,
    ListScope,
    OnMassRejection,
    Policy,
    Target,
)

_POLICY = tuple(Policy.__dataclass_fields__)
_WORDS = {
    "fail_back_mode": FailBackMode,
    "register_list_scope": ListScope,
    "on_mass_rejection": OnMassRejection,
}


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A server group as agents need it; shared by all its lines until somebody edits it."""

    group_id: int
    mode: GroupMode
    policy: Policy
    entries: tuple[Entry, ...]
    """Those configured by name have no targets yet: see `names`."""
    names: Mapping[int, Target] = field(default_factory=dict)
    """By server: what is configured where that is a name; `sip.targets.locate` finds its places."""
    records: Mapping[Question, tuple[Record, ...]] = field(default_factory=dict)
    """The group's own records, for where DNS has nothing."""

    @property
    def primary(self) -> int | None:
        """The first server that registers handsets."""
        return next((entry.server_id for entry in self.entries if entry.register), None)


_kept: dict[int, tuple[str, GroupFacts]] = {}
"""By group: its rows as text, and what was made of them. As many as there are groups."""


def groups_of(group_ids: Collection[int]) -> dict[int, GroupFacts]:
    """Return these server groups as agents need them."""
    found, changed_since = {}, {}
    for pk, text in _as_text(group_ids).items():
        kept = _kept.get(pk)
        if kept is not None and kept[0] == text:
            found[pk] = kept[1]
        else:
            changed_since[pk] = text
    if changed_since:
        found |= _made(changed_since)
    return found


def _made(before: Mapping[int, str]) -> dict[int, GroupFacts]:
    """Make the facts of these anew; keep those whose rows stayed the same meanwhile."""
    groups = ServerGroup.objects.filter(pk__in=before).prefetch_related("servers", "dns_records")
    made = {group.pk: _facts(group) for group in groups}
    after = _as_text(made)
    _kept.update((pk, (before[pk], made[pk])) for pk in made if after.get(pk) == before[pk])
    return made


def _as_text(group_ids: Collection[int]) -> dict[int, str]:
    """Return all that is configured of these groups, one text each that changes with any of it."""
    return dict(changed(_spelling(is_postgresql()), [listed(group_ids)]))


def _spelling(postgresql: bool) -> str:
    def rows_of(model: type[models.Model], table: str) -> str:
        row = _row_as_text(model, table, postgresql)
        joined = f"string_agg({row}, ',' ORDER BY {table}.id)"
        return (
            f"COALESCE((SELECT {joined if postgresql else f'group_concat({row})'} "
            f"FROM {model._meta.db_table} {table} WHERE {table}.group_id = g.id), '')"
        )

    all_of_it = " || ';' || ".join(
        (
            _row_as_text(ServerGroup, "g", postgresql),
            rows_of(Server, "s"),
            rows_of(DnsRecord, "d"),
        )
    )
    # Certificates and many servers are long: their digest says as much.
    text = f"md5({all_of_it})" if postgresql else all_of_it
    return f"SELECT g.id, {text} FROM fleet_servergroup g WHERE {within('g.id')}"


def _row_as_text(model: type[models.Model], table: str, postgresql: bool) -> str:
    if postgresql:
        return f"{table}::text"
    columns = (f'{table}."{each.column}"' for each in model._meta.concrete_fields)
    return " || ',' || ".join(f"quote({column})" for column in columns)


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
