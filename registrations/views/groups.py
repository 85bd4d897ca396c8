"""Groups: their servers, who is on them, and the policy in sentences."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fleet import dns_records, ordering, provenance, reach
from fleet.formats import zone_lines
from fleet.models import Line, Provenance, Server, ServerGroup
from fleet.roles import Role, require_role
from registrations import queries
from registrations.shown import behaviour, chart, outages, pages, timelines, watching, wording
from registrations.views import then
from registrations.views.changes import recent


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def groups(request: HttpRequest) -> HttpResponse:
    """All groups with their servers."""
    context = {"nav": "groups", "summary": queries.summary(timezone.now())}
    return render(request, "groups.html", context)


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def group(request: HttpRequest, pk: int) -> HttpResponse:
    """One group: its policy in sentences, its servers and who is on them; or who was (`at`)."""
    found = get_object_or_404(ServerGroup, pk=pk)
    if "at" in request.GET:
        return then.group(request, found)
    now = timezone.now()
    summary = queries.summary(now)
    servers = list(found.servers.select_related("pace"))
    zones = pages.zones()
    zone = pages.common_zone(zones)
    parameters = wording.policy(found, servers)
    records = dns_records.rows_of(found)
    lines = Line.objects.filter(handset__group=pk, supervision=Line.Supervision.REGISTER).count()
    context = {
        "nav": "groups",
        "group": found,
        "card": next(card for card in summary["groups"] if card["id"] == pk),
        "as_of": summary["as_of"],
        "ids": ",".join(str(server.pk) for server in servers),
        "order_moves": ordering.moves([server.pk for server in servers]),
        "steps": behaviour.steps(found, servers, lines) + watching.steps(found, servers),
        "warnings": [
            *filter(None, [wording.one_place(servers, queries.addresses(found))]),
            *wording.warnings(found, servers, lines, records),
        ],
        "policy": parameters,
        "records": zone_lines.written(records),
        "chosen": [each for each in parameters if not each.is_default],
        "suspected": summary["suspected_words"],
        "homeward": behaviour.homeward(found),
        "transitions": recent(group_name=found.name),
        "outages": outages.outages(found.servers.filter(register=True), now),
        "caveat": outages.CAVEAT,
        "zone": zone,
        "zones": zones,
    }
    context |= _over_time(found, servers, request.GET.get("span", ""), zone, now) | _origin(found)
    return render(request, "group.html", context)


def _origin(found: ServerGroup) -> dict[str, Any]:
    """From which file its values came, which may speak of any site."""
    imported = Provenance.objects.filter(group=found).first() if reach.sites() is None else None
    if imported is None:
        return {}
    return {"imported": imported, "origins": provenance.of_group(found, imported)}


def _over_time(
    found: ServerGroup, servers: list[Server], span: str, zone: str, now: datetime
) -> dict[str, Any]:
    """Who was where, and which server answered, within the span chosen."""
    # It counts those of all sites.
    drawn = chart.chart(span, zone, group=found) if reach.sites() is None else None
    since = now - chart.SPANS[drawn.span if drawn else chart.USUAL]
    health = timelines.lanes(servers, since, now, zone)
    return {
        "chart": drawn,
        "since": since,
        "now": now,
        "lanes": [(server, timelines.together(health[server.pk])) for server in servers],
        "timeline_key": timelines.KEY,
    }
