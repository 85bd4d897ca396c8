"""The history as a file: exactly what a filter shows, as CSV or JSON Lines, in constant memory.

Rows are read in chunks behind the last one read, so no transaction and no cursor stays open while
a slow client downloads, and it works the same under ASGI, under WSGI and from the command.
"""

import csv
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from io import StringIO
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.db import connection, transaction
from django.db.models import Count, Max, Min, QuerySet
from django.http import QueryDict
from django.utils import timezone

from registrations import queries
from registrations.models import Transition

CHUNK = 2000
"""Rows read, formatted and held in memory at a time."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet run a cell (OWASP, CSV injection)."""

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


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"

    @property
    def content_type(self) -> str:
        return "text/csv; charset=utf-8" if self is Format.CSV else "application/jsonl"


class ExportRefused(ValueError):
    """The export cannot be made as asked; `errors` names the parameters and what is wrong."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__(" ".join(f"{name}: {' '.join(e)}" for name, e in errors.items()))
        self.errors = dict(errors)


@dataclass(frozen=True, slots=True)
class Export:
    """One export, counted and bounded: rows that come to be later are not in it."""

    format: Format
    asked: Mapping[str, Any]
    """The filter's parameters as given, empty ones left out."""
    since: datetime
    until: datetime
    rows: int
    made_at: datetime
    _transitions: QuerySet[Transition] = field(repr=False)

    @property
    def filename(self) -> str:
        return f"rollcall-transitions-{self.made_at:%Y%m%dT%H%M%SZ}.{self.format}"

    @property
    def meta(self) -> dict[str, Any]:
        """Return what was asked and what this is, for the first JSON line and `.meta.json`."""
        return {
            "filter": dict(self.asked),
            "since": iso(self.since),
            "until": iso(self.until),
            "rows": self.rows,
            "made_at": iso(self.made_at),
        }

    @property
    def headers(self) -> dict[str, str]:
        """Return `meta` as response headers; the filter as a query string, so that it is ASCII."""
        return {
            "X-Rollcall-Filter": urlencode(self.asked, doseq=True),
            "X-Rollcall-Rows": str(self.rows),
            "X-Rollcall-Since": iso(self.since),
            "X-Rollcall-Until": iso(self.until),
            "X-Rollcall-Made-At": iso(self.made_at),
            "Content-Disposition": f'attachment; filename="{self.filename}"',
        }

    def __iter__(self) -> Iterator[bytes]:
        if self.format is Format.CSV:
            yield _csv_bytes([tuple(COLUMNS)])
            tuples = self._transitions.values_list(*COLUMNS.values())
            for chunk in _chunks(tuples, lambda row: (row[1], row[0])):
                yield _csv_bytes([_cells(row) for row in chunk])
        else:
            yield _json_line({"meta": self.meta})
            for chunk in _chunks(self._transitions, lambda row: (row.at, row.pk)):
                yield b"".join(_json_line(queries.transition_row(row)) for row in chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = iter(self)
        while part := await sync_to_async(next)(parts, b""):
            yield part


def prepare(params: QueryDict) -> Export:
    """Return the export that `params` ask for: `format` (csv) and those of TransitionFilter.

    Raises ExportRefused.
    """
    asked = queries.TransitionFilter(params, queryset=queries.transitions())
    errors = {name: [str(e) for e in found] for name, found in asked.errors.items()}
    wanted = params.get("format") or Format.CSV
    if wanted == "xlsx":
        errors["format"] = ["XLSX comes with a later release; csv and jsonl are here."]
    elif wanted not in list(Format):
        errors["format"] = [f"There is no format {wanted!r}; csv and jsonl are here."]
    if errors:
        raise ExportRefused(errors)
    transitions = asked.qs.filter(pk__lte=_newest_id())
    made_at = timezone.now()
    counted = transitions.order_by().aggregate(rows=Count("pk"), oldest=Min("at"))
    values = asked.form.cleaned_data
    return Export(
        format=Format(wanted),
        asked=_asked(params, asked),
        since=values.get("since") or counted["oldest"] or made_at,
        until=values.get("until") or made_at,
        rows=counted["rows"],
        made_at=made_at,
        _transitions=transitions,
    )


def iso(at: datetime) -> str:
    """Return `at` as ISO 8601 with milliseconds and offset, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def safe_cell(text: str) -> str:
    """Return `text` so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _asked(params: QueryDict, asked: queries.TransitionFilter) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name in asked.filters:
        values = [value for value in params.getlist(name) if value]
        if values:
            given[name] = values[0] if len(values) == 1 else values
    return given


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
    chunk = list(rows[:CHUNK])
    while chunk:
        yield chunk
        if len(chunk) < CHUNK:
            return
        at, pk = key(chunk[-1])
        chunk = list(rows.filter(at__lte=at).exclude(at=at, pk__gte=pk)[:CHUNK])


def _cells(row: tuple[Any, ...]) -> list[Any]:
    return [
        safe_cell(cell)
        if isinstance(cell, str)
        else iso(cell)
        if isinstance(cell, datetime)
        else cell
        for cell in row
    ]


def _csv_bytes(rows: list[Any]) -> bytes:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _json_line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
