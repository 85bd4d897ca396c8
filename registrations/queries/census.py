"""The census as series: how many were in each state, minute by minute, gaps left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fleet.models import Server, ServerGroup
from registrations.models import Census
from registrations.queries.summary import no_counts
from registrations.queries.words import moment

COARSE = timedelta(minutes=10)
FINE_SPAN = timedelta(hours=25)
"""A longer span is told in steps of COARSE; older rows are kept no finer."""


@dataclass(frozen=True, slots=True)
class Series:
    """Counts by shown state at each counted moment; what lies further apart than `step` is a gap.

    `counts` has the states in which anybody was, in the order of `State`; silent ones apart.
    """

    since: datetime
    until: datetime
    step: timedelta
    at: list[datetime]
    counts: dict[str, list[int]]

    def as_json(self) -> dict[str, Any]:
        """Return it as the API sends it."""
        return {
            "since": moment(self.since),
            "until": moment(self.until),
            "step_seconds": int(self.step.total_seconds()),
            "at": [moment(at) for at in self.at],
            "states": self.counts,
        }


def census(
    since: datetime,
    until: datetime,
    group: ServerGroup | None = None,
    server: Server | None = None,
) -> Series:
    """Return who was where from `since` up to before `until`: fleet, group or server. One query.

    Of a server: those it held.
    """
    step = timedelta(minutes=1) if until - since <= FINE_SPAN else COARSE
    rows = Census.objects.filter(at__gte=since, at__lt=until).order_by("at")
    if server is not None:
        rows = rows.filter(group=server.group_id)
        found = [(at, by.get(str(server.pk), {})) for at, by in rows.values_list("at", "servers")]
    else:
        rows = rows.filter(group=group)
        found = list(rows.values_list("at", "states"))
    if step == COARSE:
        found = _one_a_step(found, step)
    keys = [key for key in no_counts() if any(key in counts for _, counts in found)]
    return Series(
        since=since,
        until=until,
        step=step,
        at=[at for at, _ in found],
        counts={key: [counts.get(key, 0) for _, counts in found] for key in keys},
    )


Counted = tuple[datetime, Mapping[str, int]]


def _one_a_step(rows: list[Counted], step: timedelta) -> list[Counted]:
    by_step = {int(at.timestamp() // step.total_seconds()): (at, counts) for at, counts in rows}
    return list(by_step.values())
