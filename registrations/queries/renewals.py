"""When the handsets a server holds ask it next, and when their bindings end."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Max, Min
from django.db.models.functions import TruncSecond

from registrations.models import Registration
from registrations.queries.rows import BOUND


@dataclass(slots=True)
class Renewals:
    """Of one server: (seconds from now, how many), in order, and the span of the bindings' ends."""

    due: list[tuple[float, int]] = field(default_factory=list)
    first_end: datetime | None = None
    last_end: datetime | None = None


def renewals(server_ids: Iterable[int], now: datetime) -> dict[int, Renewals]:
    """Return the renewals of those each server holds, by the second; one query.

    Who is being renewed right now is due now.
    """
    found: dict[int, Renewals] = defaultdict(Renewals)
    held = Registration.objects.filter(server__in=list(server_ids), state__in=BOUND)
    by = held.annotate(second=TruncSecond("next_attempt_at")).values("server_id", "second")
    counted = by.annotate(n=Count("id"), first=Min("expires_at"), last=Max("expires_at"))
    for row in counted.order_by("server_id", "second"):
        mine = found[row["server_id"]]
        second = row["second"]
        mine.due.append((0.0 if second is None else (second - now).total_seconds(), row["n"]))
        ends = [end for end in (mine.first_end, row["first"]) if end is not None]
        mine.first_end = min(ends, default=None)
        ends = [end for end in (mine.last_end, row["last"]) if end is not None]
        mine.last_end = max(ends, default=None)
    for each in found.values():
        each.due.sort()
    return found
