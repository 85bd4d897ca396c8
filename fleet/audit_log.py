"""The audit log as it is read: filtered, newest first, and each entry in words."""

import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import django_filters
from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.db.models import Q, QuerySet

from fleet.filters import Filters, IdFilter, MomentFilter, WordsFilter

AT_ONCE = 100
"""Entries of one page."""

CHUNK = 1000

NOTHING = ("", "None", "False", "[]", "{}")
"""Values that are not worth a line of their own where there was nothing before."""

ACTIONS = {
    LogEntry.Action.CREATE: "made",
    LogEntry.Action.UPDATE: "changed",
    LogEntry.Action.DELETE: "deleted",
    LogEntry.Action.ACCESS: "read",
}
COLUMNS = (
    *("id", "at", "by", "from_address", "token", "session", "request", "did", "kind", "object_id"),
    *("object", "changes"),
)


def entries() -> QuerySet[LogEntry]:
    return LogEntry.objects.select_related("actor", "content_type").order_by("-pk")


def kinds() -> dict[str, str]:
    """Return the kinds of things there are entries about, each with its word."""
    found = {m._meta.model_name: str(m._meta.verbose_name) for m in auditlog.get_models()}
    return dict(sorted(found.items(), key=lambda kind: kind[1]))


def _kind_choices() -> list[tuple[str, str]]:
    return list(kinds().items())


class EntryFilter(Filters):
    """By whom, about what, when."""

    by = django_filters.CharFilter(method="of_user", label="User")
    kind = WordsFilter(field_name="content_type__model", choices=_kind_choices, label="What")
    q = django_filters.CharFilter(field_name="object_repr", lookup_expr="icontains", label="Name")
    object_id = IdFilter(field_name="object_id")
    since = MomentFilter(field_name="timestamp", lookup_expr="gte")
    until = MomentFilter(field_name="timestamp", lookup_expr="lt")

    class Meta:
        model = LogEntry
        fields: tuple[str, ...] = ()

    def of_user(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        # Of who is no user any more the name stays in the entry.
        return rows.filter(Q(actor__username=value) | Q(additional_data__by=value))


def before(rows: QuerySet[LogEntry], mark: str) -> list[LogEntry]:
    """Return a page of entries older than that one's id ('': the newest), and one more."""
    if mark.isdecimal() and len(mark) < 19:
        rows = rows.filter(pk__lt=int(mark))
    return list(rows[: AT_ONCE + 1])


def row(entry: LogEntry) -> dict[str, Any]:
    """Return an entry as the page, the API and the file have it."""
    more = entry.additional_data or {}
    return {
        "id": entry.pk,
        "at": entry.timestamp.astimezone(UTC).isoformat(timespec="milliseconds"),
        "by": more.get("by") or (entry.actor.get_username() if entry.actor else ""),
        "from_address": entry.remote_addr or "",
        "token": more.get("token", ""),
        "session": more.get("session", ""),
        "request": entry.cid or "",
        "did": ACTIONS[entry.action],
        "kind": entry.content_type.name,
        "object_id": entry.object_id,
        "object": entry.object_repr,
        "changes": entry.changes_dict,
    }


def described(entry: LogEntry) -> dict[str, Any]:
    """Return a row with its changes as (what, before, after), in words."""
    told = row(entry)
    return told | {"when": entry.timestamp, "told": list(_told(told["changes"]))}


def _told(changes: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for name, change in changes.items():
        what = name.replace("_", " ")
        if isinstance(change, dict):  # of what is linked: an operation and its objects
            names = ", ".join(map(str, change.get("objects", ())))
            yield what, "", f"{change.get('operation', '')} {names}".strip()
            continue
        old, new = ("" if v is None else str(v) for v in (list(change) + ["", ""])[:2])
        if old == new:  # a secret, of which is told that it changed
            old = ""
        # What is made begins with much that says nothing, and with links it cannot have yet.
        if old not in NOTHING or (new not in NOTHING and not new.endswith(".None")):
            yield what, "" if old in NOTHING else old, "" if new == "None" else new


def table(rows: QuerySet[LogEntry]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a file, in chunks behind the last one read: nothing stays open."""
    last: int | None = None
    while True:
        some = list((rows if last is None else rows.filter(pk__lt=last))[:CHUNK])
        if not some:
            return
        last = some[-1].pk
        yield [tuple(_cell(value) for value in row(entry).values()) for entry in some]


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
