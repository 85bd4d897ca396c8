"""The history as an export.

Rows are read in chunks behind the last one read, so no transaction and no cursor stays open while
a slow client downloads; where PostgreSQL writes the CSV itself, it is one query (see `copying`).
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Max, QuerySet
from django.http import QueryDict
from django.utils import timezone

from registrations import queries
from registrations.exports import source
from registrations.exports.copying import IsoCell, SafeCell
from registrations.models import Transition

COLUMNS = {
    "id": "id",
    "at": "at",
    "mac": "mac",
    "extension": "extension",
    "name": "handset_name",
    "group": "group_name",
    "site": "site_name",
    "from_state": "from_state",
    "from_server": "from_server",
    "to_state": "to_state",
    "to_server": "to_server",
    "cause": "cause",
    "code": "code",
    "reason": "reason",
    "detect_seconds": "detect_seconds",
    "seconds": "seconds",
    "asked_by": "asked_by",
}
"""The CSV's header and the fields of Transition below it."""

OTHERS_WORDS = (
    "extension",
    "handset_name",
    "group_name",
    "site_name",
    "from_server",
    "to_server",
    "reason",
    "asked_by",
)
"""Fields that hold what people and peers wrote."""


def transitions(params: QueryDict) -> source.Source:
    """Return the history that `params` (those of TransitionFilter) ask for, newest first.

    Raises ExportRefused.
    """
    asked = queries.TransitionFilter(params, queryset=queries.transitions())
    source.refuse_if_wrong(asked)
    found = asked.qs.filter(pk__lte=_newest_id())
    now = timezone.now()
    bounds = asked.form.cleaned_data
    # Asked apart, an index answers either; together, they would read every row.
    oldest = None if bounds.get("since") else found.order_by("at").values_list("at").first()
    return source.Source(
        kind="transitions",
        columns=tuple(COLUMNS),
        asked=source.asked_of(params, asked.filters),
        since=bounds.get("since") or (oldest[0] if oldest else now),
        until=bounds.get("until") or now,
        made_at=now,
        rows=found.order_by().count(),
        cells=lambda: _chunks(found.values_list(*COLUMNS.values()), lambda row: (row[1], row[0])),
        records=lambda: _records(found),
        formatted=found.values_list(*(_formatted(name) for name in COLUMNS.values())),
    )


def _formatted(name: str) -> Any:
    if name == "at":
        return IsoCell(F(name))
    return SafeCell(F(name)) if name in OTHERS_WORDS else F(name)


def _records(found: QuerySet[Transition]) -> Iterator[list[dict[str, Any]]]:
    for chunk in _chunks(found, lambda row: (row.at, row.pk)):
        yield [queries.transition_row(row) for row in chunk]


def _newest_id() -> int:
    """Return an id up to which the history is complete and will not grow.

    PostgreSQL hands ids out before commit, so a lower one may still appear: the lock waits for
    the flushes that are writing (milliseconds) and is let go at once. SQLite has one writer.
    """
    if connection.vendor != "postgresql":
        return _max_id()
    with transaction.atomic():
        table = connection.ops.quote_name(Transition._meta.db_table)
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN SHARE MODE")
        return _max_id()


def _max_id() -> int:
    return Transition.objects.aggregate(newest=Max("pk"))["newest"] or 0


def _chunks(
    rows: QuerySet[Any, Any], key: Callable[[Any], tuple[datetime, int]]
) -> Iterator[list[Any]]:
    """Yield the rows, ordered by -at and -id, in lists that each begin behind the one before."""
    chunk = list(rows[: source.CHUNK])
    while chunk:
        yield chunk
        if len(chunk) < source.CHUNK:
            return
        at, pk = key(chunk[-1])
        chunk = list(rows.filter(queries.Mark(at, pk).older)[: source.CHUNK])
