"""Where lines were over a period: each one's history as spans that tile it, without gap or overlap.

A transition says what holds from its moment on. So before a line's first transition nothing is
known, and at the period's start holds what the last transition before it said.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import OuterRef, Subquery

from registrations.models import Registration, State, Transition

NOTHING_KNOWN = ""
"""The state of a span from which no history is kept; not State.UNKNOWN, which was recorded."""


class Change(NamedTuple):
    """One transition, as far as spans need it."""

    at: datetime
    state: str
    server: str
    """Its name at that time; '' for no server."""
    cause: str = ""
    reason: str = ""
    asked_by: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` up to `end` the line was in `state` on `server`, because of `change`."""

    start: datetime
    end: datetime
    state: str
    server: str
    change: Change | None

    @property
    def length(self) -> timedelta:
        return self.end - self.start


def tile(
    changes: Iterable[Change],
    start: datetime,
    end: datetime,
    unknown_since: datetime | None = None,
) -> list[Span]:
    """Return the spans of `changes` (in any order; of one moment the last counts) within a period.

    `unknown_since` is the derived unknown, which no transition tells of yet. `end` must not lie
    in the future: what is to come is no span.
    """
    known = sorted(changes, key=lambda change: change.at)
    if unknown_since is not None:
        at = max(unknown_since, known[-1].at) if known else unknown_since
        known.append(Change(at, State.UNKNOWN, ""))
    if start >= end:
        return []
    marks: dict[datetime, Change | None] = {start: None}
    for change in known:
        if change.at < end:
            marks[max(change.at, start)] = change
    begins = list(marks)
    return [
        Span(begun, over, *((why.state, why.server) if why else (NOTHING_KNOWN, "")), why)
        for (begun, why), over in zip(marks.items(), [*begins[1:], end], strict=True)
    ]


def spans(
    registration_ids: Collection[int],
    start: datetime,
    end: datetime,
    unknown_since: Mapping[int, datetime] | None = None,
) -> dict[int, list[Span]]:
    """Return the spans of these lines, by registration, in two queries; see `tile`."""
    found: dict[int, list[Change]] = defaultdict(list)
    fields = ("at", "to_state", "to_server", "cause", "reason", "asked_by")
    kept = Transition.objects.order_by("at", "id")
    latest = Transition.objects.filter(registration=OuterRef("pk"), at__lte=start)
    before = Registration.objects.filter(pk__in=registration_ids).annotate(
        last=Subquery(latest.order_by("-at", "-id").values("pk")[:1])
    )
    for rows in (
        kept.filter(pk__in=before.values("last")),
        kept.filter(registration__in=registration_ids, at__gt=start, at__lt=end),
    ):
        for pk, *values in rows.values_list("registration_id", *fields):
            found[pk].append(Change(*values))
    unknown = unknown_since or {}
    return {pk: tile(found[pk], start, end, unknown.get(pk)) for pk in registration_ids}


def lengths(tiled: Sequence[Span]) -> dict[tuple[str, str], timedelta]:
    """Return how long in all in each (state, server), the longest first."""
    sums: dict[tuple[str, str], timedelta] = defaultdict(timedelta)
    for span in tiled:
        sums[span.state, span.server] += span.length
    return dict(sorted(sums.items(), key=lambda one: -one[1]))
