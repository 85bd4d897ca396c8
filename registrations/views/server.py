"""One server: its health over time, who is on it, and what would happen if it died now."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fleet import reach
from fleet.models import Server
from fleet.roles import Role, require_role
from registrations import queries
from registrations.shown import chart, maintenance, outages, pages, timelines, wording

LATEST = 10
"""How many handsets and changes the page shows; the list and the API have all."""


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def server(request: HttpRequest, pk: int) -> HttpResponse:
    """Everything about one server."""
    found = get_object_or_404(Server.objects.select_related("group", "pace"), pk=pk)
    now = timezone.now()
    summary = queries.summary(now)
    card = next(card for card in summary["groups"] if card["id"] == found.group_id)
    zones = pages.zones()
    zone = pages.common_zone(zones)
    whole = reach.sites() is None
    # It counts those of all sites.
    drawn = chart.chart(request.GET.get("span", ""), zone, server=found) if whole else None
    since = now - chart.SPANS[drawn.span if drawn else chart.USUAL]
    rows = queries.registrations(now).filter(server=pk).order_by("-since", "pk")[:LATEST]
    changes = queries.server_changes().filter(server=pk)[:LATEST]
    context = {
        "nav": "groups",
        "server": found,
        "group": found.group,
        "card": card,
        "warning": wording.one_place(
            list(found.group.servers.all()), queries.addresses(found.group)
        ),
        "lane": next(each for each in card["servers"] if each["id"] == pk),
        "suspected": summary["suspected_words"],
        "chart": drawn,
        "since": since,
        "now": now,
        "lanes": timelines.lanes([found], since, now, zone)[pk],
        "timeline_key": timelines.KEY,
        "outages": outages.outages(outages.at_place_of(found), now),
        "caveat": outages.CAVEAT,
        "rows": [(queries.row(row), row.site.time_zone) for row in rows],
        "drains": maintenance.drains_of(pk, zone) if whole else [],
        "changes": [queries.server_change_row(change) for change in changes],
        "zone": zone,
        "zones": zones,
    }
    return render(request, "server.html", context)
