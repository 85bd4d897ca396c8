"""When the handsets a server holds ask it next, and when their bindings end."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, F, Q, QuerySet, When
from django.db.models.functions import TruncSecond

from fleet.models import Line
from registrations.models import Registration, State
from registrations.queries.rows import BOUND


@dataclass(slots=True)
class Renewals:
    """Of one server: who asks it next, as (seconds from now, how many) in order; who is bound."""

    due: list[tuple[float, int]] = field(default_factory=list)
    ends: list[tuple[float, int]] = field(default_factory=list)
    """When bindings end, in Unix seconds, and how many."""


def renewals(server_ids: Iterable[int], now: datetime) -> dict[int, Renewals]:
    """Return the renewals of those each server holds, by the second; two queries.

    Who is being renewed right now is due now. A handset that is only observed asks when its binding
    ends at the latest; when it means to renew it, nobody knows.
    """
    found: dict[int, Renewals] = defaultdict(Renewals)
    held = Registration.objects.filter(server__in=list(server_ids), state__in=BOUND)
    observed = Q(line__supervision=Line.Supervision.OBSERVE)
    asks_at = Case(When(observed, then=F("expires_at")), default=F("next_attempt_at"))
    for server_id, second, n in _by_second(held, asks_at):
        due = 0.0 if second is None else (second - now).total_seconds()
        found[server_id].due.append((due, n))
    for server_id, second, n in _by_second(held.filter(expires_at__gt=now), F("expires_at")):
        found[server_id].ends.append((second.timestamp(), n))
    for each in found.values():
        each.due.sort()
    return found


def lines_on(group_ids: Iterable[int]) -> dict[int, int]:
    """Return how many lines of each group are not switched off, wherever they are. One query."""
    found = Registration.objects.filter(group__in=list(group_ids)).exclude(state=State.DISABLED)
    return dict(found.order_by().values_list("group").annotate(n=Count("pk")))


def _by_second(held: QuerySet[Registration], moment: Any) -> Iterator[tuple[int, Any, int]]:
    by = held.order_by().annotate(second=TruncSecond(moment)).values("server_id", "second")
    for row in by.annotate(n=Count("id")):
        yield row["server_id"], row["second"], row["n"]
