"""The fleet as it was at an instant, as an export: one row for each line that was there."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone

from fleet.filters import SHOWN_BY, MomentFilter, no_such
from registrations import queries
from registrations.exports import source

COLUMNS = {
    "id": "then_registration",
    "mac": "then_mac",
    "extension": "then_extension",
    "name": "then_name",
    "group": "then_group",
    "site": "then_site",
    "state": "then_state",
    "server": "then_server",
    "since": "then_since",
    "cause": "then_cause",
    "reason": "then_reason",
}


def registrations_at(params: QueryDict) -> source.Source:
    """Return the lines there were at `at` that `params` ask for, by id. Raises ExportRefused."""
    now = timezone.now()
    if strange := no_such(set(params) - SHOWN_BY, queries.THEN_FILTERS):
        raise source.ExportRefused({name: [sentence] for name, sentence in strange.items()})
    try:
        at = MomentFilter(required=True).field.clean(params.get("at"))
    except ValidationError as wrong:
        raise source.ExportRefused({"at": [str(text) for text in wrong.messages]}) from wrong
    # As on the page: addresses tell milliseconds, and all of the one named is included.
    at = min(at + timedelta(microseconds=999 - at.microsecond % 1000), now)
    found = queries.fleet_at(at, now, queries.then_condition(params, at))
    with queries.by_index():
        rows = [
            tuple(row[name] for name in COLUMNS.values())
            for row in found.order_by("then_registration").iterator()
        ]
    return source.Source(
        kind="registrations",
        columns=tuple(COLUMNS),
        asked=source.asked_of(params, queries.THEN_FILTERS),
        since=at,
        until=at,
        made_at=now,
        rows=len(rows),
        cells=lambda: _chunks(rows),
        records=lambda: ([_record(row) for row in chunk] for chunk in _chunks(rows)),
    )


def _chunks(rows: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    for start in range(0, len(rows), source.CHUNK):
        yield rows[start : start + source.CHUNK]


def _record(row: tuple[Any, ...]) -> dict[str, Any]:
    values = (queries.moment(v) if isinstance(v, datetime) else v for v in row)
    return dict(zip(COLUMNS, values, strict=True))
