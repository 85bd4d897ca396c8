"""The overview: is the fleet where it should be, and what moved?"""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fleet import first_run, reach
from fleet.roles import Role, require_role
from registrations import queries
from registrations.shown import chart, maintenance, pages
from registrations.views import then
from registrations.views.changes import recent
from registrations.views.demo import demo_servers

MOVED_WITHIN = timedelta(hours=1)


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def overview(request: HttpRequest) -> HttpResponse:
    """The fleet at a glance; with `at`, as it was then."""
    if "at" in request.GET:
        return then.overview(request)
    now = timezone.now()
    summary = queries.summary(now)
    zones = pages.zones()
    zone = pages.common_zone(zones)
    context = {
        "nav": "overview",
        "summary": summary,
        "groups": pages.groups_worst_first(summary["groups"]),
        "transitions": recent(),
        **_moves(now),
        "zone": zone,
        "zones": zones,
        # Whoever waits is off, so that a running fleet is not asked.
        "waiting": first_run.waiting() if summary["states"]["disabled"] else 0,
    }
    if reach.sites() is None:
        context |= {
            "chart": chart.chart(request.GET.get("span", ""), zone),
            "drains": maintenance.drains_on(zone),
            "demo_servers": demo_servers(),
        }
    return render(request, "overview.html", context)


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def moves(request: HttpRequest) -> HttpResponse:
    """Who moved in the last hour: the part of the overview that is asked for again and again."""
    zones = pages.zones()
    context = _moves(timezone.now()) | {"zone": pages.common_zone(zones), "zones": zones}
    return render(request, "_moves.html", context)


def _moves(now: datetime) -> dict[str, Any]:
    """Who moved, each with the query string of exactly those in the history."""
    since = now - MOVED_WITHIN
    found = [move | {"query": _query(move, since)} for move in queries.moves(since)]
    return {"moves": found, "moved_since": queries.moment(since)}


def _query(move: dict[str, Any], since: datetime) -> str:
    wanted = {
        "group": move["group"],
        "from_server": move["from"],
        "to_server": move["to"],
        "state": move["state"],
        "since": queries.moment(since),
    }
    return urlencode({name: value for name, value in wanted.items() if value})
