"""What was wrong with the servers at one instant, read from their history."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Case, F, Q, Value, When, Window
from django.db.models.functions import RowNumber

from registrations.models import ServerChange
from registrations.queries.rows import BOUND

_What = ServerChange.What

Place = tuple[str, str, str]
"""Names of a group, of a server and of the site it was asked from."""


def troubles_at(at: datetime) -> list[ServerChange]:
    """Return the last change of each server up to `at` that left it in trouble, one query.

    Whether it answered is told site by site; that it was sick, for all of them at once.
    """
    is_health = When(what__in=(_What.SICK, _What.WELL), then=Value("health"))
    newest = Window(
        RowNumber(),
        partition_by=[
            F("group_name"),
            F("server_name"),
            F("site_name"),
            Case(is_health, default=Value("answers")),
        ],
        order_by=[F("at").desc(), F("pk").desc()],
    )
    told = ServerChange.objects.filter(at__lte=at).exclude(what=_What.PAUSED)
    lasts = told.annotate(turn=newest).filter(turn=1)
    by_name = lasts.order_by("group_name", "server_name", "site_name")
    # Asked for in the query, what they say would be looked at before which is the last.
    return [each for each in by_name if each.what in (_What.SILENT, _What.SICK)]


def silent_places(troubles: Iterable[ServerChange]) -> frozenset[Place]:
    """Return where a server was silent."""
    return frozenset(
        (each.group_name, each.server_name, each.site_name)
        for each in troubles
        if each.what == _What.SILENT
    )


def on_silent(places: Iterable[Place]) -> Q:
    """Return the condition on `fleet_at` that finds who was held by a server that was silent."""
    found = Q(pk__in=[])
    for group, server, site in places:
        found |= Q(then_group=group, then_server=server, then_site=site)
    return Q(then_state__in=BOUND) & found
