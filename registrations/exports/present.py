"""The fleet as it is shown now, as an export: one row for each registration."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.http import QueryDict
from django.utils import timezone

from registrations import queries
from registrations.exports import source
from registrations.exports.then import registrations_at

COLUMNS = (
    "id",
    "mac",
    "extension",
    "name",
    "group",
    "site",
    "state",
    "state_word",
    "role",
    "server",
    "server_silent_since",
    "since",
    "expires_at",
    "next_attempt_at",
    "reason",
    "last_answer",
    "heard_at",
)


def registrations(params: QueryDict) -> source.Source:
    """Return the registrations that `params` (those of RegistrationFilter) ask for, by id.

    With `at`, those there were then. Raises ExportRefused.
    """
    if "at" in params:
        return registrations_at(params)
    now = timezone.now()
    asked = queries.RegistrationFilter(params, queryset=queries.plain(now))
    source.refuse_if_wrong(asked)
    found = asked.qs
    return source.Source(
        kind="registrations",
        columns=COLUMNS,
        asked=source.asked_of(params, asked.filters),
        since=now,
        until=now,
        made_at=now,
        rows=found.order_by().count(),
        cells=lambda: ([_cells(row) for row in chunk] for chunk in _chunks(found, now)),
        records=lambda: ([queries.row(row) for row in chunk] for chunk in _chunks(found, now)),
    )


def _chunks(found: Any, now: datetime) -> Iterator[list[queries.Seen]]:
    """Yield the rows as shown at `now`, in lists that each begin behind the one before."""
    last = 0
    while ids := list(
        found.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[: source.CHUNK]
    ):
        last = ids[-1]
        yield list(queries.seen(ids, now))


def _cells(registration: queries.Seen) -> tuple[Any, ...]:
    handset = registration.line.handset
    return (
        registration.pk,
        handset.mac,
        registration.line.extension,
        handset.name,
        registration.group.name,
        registration.site.name,
        registration.shown_state,
        queries.state_word(registration),
        queries.role_of(registration.server, registration.group.mode),
        "" if registration.server is None else str(registration.server),
        registration.silent_since,
        registration.shown_since,
        registration.expires_at,
        registration.next_attempt_at,
        registration.reason,
        registration.last_answer,
        registration.heard_at,
    )
