"""Standby proofs as an export: one row for each line and server."""

from collections.abc import Iterator
from typing import Any

from django.http import QueryDict
from django.utils import timezone

from registrations import queries
from registrations.exports import source

COLUMNS = (
    "id",
    "mac",
    "extension",
    "name",
    "group",
    "site",
    "server",
    "proof",
    "since",
    "asked_at",
    "proved_at",
    "next_at",
    "code",
    "reason",
    "refusals",
)


def readiness(params: QueryDict) -> source.Source:
    """Return the proofs that `params` (those of ReadinessFilter) ask for, by id.

    Raises ExportRefused.
    """
    now = timezone.now()
    asked = queries.ReadinessFilter(params, queryset=queries.proofs(now))
    source.refuse_if_wrong(asked)
    found = asked.qs
    return source.Source(
        kind="readiness",
        columns=COLUMNS,
        asked=source.asked_of(params, asked.filters),
        since=now,
        until=now,
        made_at=now,
        rows=found.order_by().count(),
        cells=lambda: ([_cells(row) for row in chunk] for chunk in _chunks(found)),
        records=lambda: ([queries.proof_row(row) for row in chunk] for chunk in _chunks(found)),
    )


def _chunks(found: Any) -> Iterator[list[Any]]:
    """Yield the rows in lists that each begin behind the one before."""
    last = 0
    rows = queries.in_full(found).order_by("pk")
    while chunk := list(rows.filter(pk__gt=last)[: source.CHUNK]):
        last = chunk[-1].pk
        yield chunk


def _cells(proof: Any) -> tuple[Any, ...]:
    line = proof.registration.line
    return (
        proof.pk,
        line.handset.mac,
        line.extension,
        line.handset.name,
        proof.server.group.name,
        proof.site.name,
        str(proof.server),
        proof.shown_proof,
        proof.since,
        proof.asked_at,
        proof.proved_at,
        proof.due_at,
        proof.code,
        proof.reason,
        proof.refusals,
    )
