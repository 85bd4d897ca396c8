"""Who moved lately, summed by group and direction."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q

from fleet.models import ServerGroup, Site
from registrations.models import State, Transition
from registrations.queries.extent import EVERYTHING, Extent
from registrations.queries.words import moment

MOST_DIRECTIONS = 8
NEVER_THERE = ("first", "enabled")
"""The causes of a registration that had been nowhere before: nobody moved."""
SETTLING = timedelta(minutes=1)
"""How long one that had been nowhere may take to its place: a fallback may answer it first."""


def moves(since: datetime, extent: Extent = EVERYTHING) -> list[dict[str, Any]]:
    """Return who changed servers from `since` on: one row per group, from and to, most first.

    `n` counts each handset once, however often it went that way. Who lost his server went to none;
    the state says what became of him. One query, and at most MOST_DIRECTIONS rows.
    """
    begun = Transition.objects.filter(
        registration=OuterRef("registration"),
        cause__in=NEVER_THERE,
        at__range=(OuterRef("at") - SETTLING, OuterRef("at")),
    ).order_by()
    moved = Transition.objects.filter(~Exists(begun), at__gte=since).exclude(
        Q(from_server=F("to_server")) | Q(cause__in=NEVER_THERE)
    )
    if extent.groups:
        moved = moved.filter(group_name__in=_names(ServerGroup, extent.groups))
    if extent.sites:
        moved = moved.filter(site_name__in=_names(Site, extent.sites))
    by = moved.values("group_name", "from_server", "to_server", "to_state").order_by()
    counted = by.annotate(n=Count("mac", distinct=True), first=Min("at"), last=Max("at"))
    return [
        {
            "group": row["group_name"],
            "from": row["from_server"],
            "to": row["to_server"],
            "state": row["to_state"],
            "state_word": str(State(row["to_state"]).label),
            "n": row["n"],
            "first": moment(row["first"]),
            "last": moment(row["last"]),
        }
        for row in counted.order_by("-n", "group_name", "from_server")[:MOST_DIRECTIONS]
    ]


def _names(model: type[ServerGroup | Site], ids: frozenset[int]) -> Any:
    return model._default_manager.filter(pk__in=ids).values("name")
