"""Incidents: what is wrong, since when, what follows from it, who has it in hand."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from fleet.models import ServerGroup
from fleet.roles import Role, require_role
from registrations import queries
from registrations.alerts import acknowledging, looking
from registrations.models import Incident
from registrations.shown import incidents as shown
from registrations.shown import pages

SINGLE = ("since", "until", "server", "folded_into", "q")


@require_safe
@require_role(Role.VIEWER)
def incidents(request: HttpRequest) -> HttpResponse:
    """All of them, those that are on first; filtered as the export is."""
    by_site = pages.zones()
    zone = pages.common_zone(by_site)
    params = pages.with_offsets(request.GET, zone)
    filtered = queries.IncidentFilter(params, queries.incidents())
    valid = filtered.is_valid()
    options = {
        "state": dict(Incident.State.choices),
        "kind": dict(Incident.Kind.choices),
        "severity": dict(Incident.Severity.choices),
    }
    names = ServerGroup.objects.order_by("name").values_list("name", flat=True)
    one_of = {"group": {name: name for name in names}, "site": {name: name for name in by_site}}
    context = {
        "nav": "incidents",
        "page": pages.page_of(filtered.qs if valid else Incident.objects.none(), params),
        "sizes": pages.PAGE_SIZES,
        "chips": pages.chips(params, options | one_of | {field: {} for field in SINGLE}),
        "options": options,
        "chosen": {field: params.getlist(field) for field in options},
        "zone": zone,
        "zones": by_site,
        "looked_at": looking.looked_at(),
        "export": params.urlencode(),
        "faults": [] if valid else filtered.errors.values(),
    }
    return render(request, "incidents.html", context)


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def incidents_open(request: HttpRequest) -> HttpResponse:
    """Those that are on: the part of the overview that is asked for when they change."""
    return render(request, "_incidents.html", {"summary": queries.open_incidents()})


@require_safe
@require_role(Role.VIEWER)
def incident(request: HttpRequest, pk: int) -> HttpResponse:
    """One of them, in full."""
    rows = queries.incidents().select_related("registration__line")
    unread = ("registration__snapshot", "registration__line__auth_password")
    found = get_object_or_404(rows.defer(*unread), pk=pk)
    return render(request, "incident.html", _context(found))


@require_POST
@require_role(Role.OPERATOR)
def incident_acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that somebody has it in hand, with a comment; or add one."""
    get_object_or_404(Incident, pk=pk)
    by, comment = request.user.get_username(), request.POST.get("comment", "")
    try:
        acknowledging.acknowledge(pk, by, comment, timezone.now())
    except acknowledging.IncidentIsOver as over:
        messages.info(request, str(over))
    return redirect("incident", pk)


def _context(found: Incident) -> dict[str, Any]:
    by_site = pages.zones()
    zone = pages.common_zone({name: by_site.get(name, "UTC") for name in found.sites} or by_site)
    return {
        "nav": "incidents",
        "incident": found,
        "zone": zone,
        "members": shown.members(found),
        "entries": found.entries.all(),
        "folded": found.folded.order_by("pk")[: shown.MOST_FOLDED],
        "deliveries": queries.deliveries().filter(incident=found)[: shown.MOST_MESSAGES],
    }
