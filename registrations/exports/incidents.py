"""Incidents as an export, as the page of that filter lists them."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.http import QueryDict
from django.utils import timezone

from registrations import queries
from registrations.exports import source
from registrations.models import Incident


def incidents(params: QueryDict) -> source.Source:
    """Return the incidents that `params` (those of IncidentFilter) ask for.

    Raises ExportRefused.
    """
    now = timezone.now()
    detected = queries.incidents().filter(detected_at__lte=now)
    filtered = queries.IncidentFilter(params, detected)
    source.refuse_if_wrong(filtered)
    bounds = filtered.form.cleaned_data
    rows = filtered.qs
    columns = tuple(_record(Incident(opened_at=now, detected_at=now)))
    return source.Source(
        kind="incidents",
        columns=columns,
        asked=source.asked_of(params, filtered.filters),
        since=bounds.get("since") or _first(now),
        until=bounds.get("until") or now,
        made_at=now,
        rows=rows.count(),
        cells=lambda: ([tuple(_flat(r)) for r in chunk] for chunk in _chunks(rows)),
        records=lambda: _chunks(rows),
    )


def _first(now: Any) -> Any:
    return (
        Incident.objects.order_by("detected_at").values_list("detected_at", flat=True).first()
        or now
    )


def _record(incident: Incident) -> dict[str, Any]:
    return queries.incident_row(incident) | {"lasted_seconds": incident.lasted_s}


def _flat(record: dict[str, Any]) -> Iterator[Any]:
    for value in record.values():
        yield ", ".join(value) if isinstance(value, list) else value


def _chunks(rows: Any) -> Iterator[list[dict[str, Any]]]:
    found = (_record(incident) for incident in rows.iterator(source.CHUNK))
    while chunk := list(islice(found, source.CHUNK)):
        yield chunk
