"""Pages as they were at an instant (`?at=`): the same addresses, from the history, never live."""

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from fleet.filters import SHOWN_BY, no_such
from fleet.models import Handset, Server, ServerGroup, Site
from registrations import queries
from registrations.shown import looking_back, pages
from registrations.views.changes import recent


def overview(request: HttpRequest) -> HttpResponse:
    """The fleet at a glance, then."""
    context = _context(request, "overview")
    if context is None:
        return _no_such_time(request)
    return render(request, "then/overview.html", context | _counts(context))


def group(request: HttpRequest, found: ServerGroup) -> HttpResponse:
    """Who was on a group's servers then."""
    context = _context(request, "groups", group_name=found.name)
    if context is None:
        return _no_such_time(request)
    context |= {"group": found} | _counts(context, found.name)
    return render(request, "then/group.html", context)


def handsets(request: HttpRequest) -> HttpResponse:
    """The list of handsets then, filtered and paged."""
    context = _context(request, "handsets")
    if context is None:
        return _no_such_time(request)
    then = context["then"]
    options = {
        "state": pages.state_names(),
        "silent": {"true": "Server silent", "false": "Server answers"},
        "group": {str(pk): name for pk, name in ServerGroup.objects.values_list("pk", "name")},
        "site": {str(pk): name for pk, name in Site.objects.values_list("pk", "name")},
        "server": {str(server.pk): str(server) for server in Server.objects.all()},
    }
    rows = queries.fleet_at(then.at, timezone.now(), queries.then_condition(request.GET, then.at))
    strange = no_such(set(request.GET) - SHOWN_BY, queries.THEN_FILTERS)
    found = rows.none() if strange else rows
    ordered = found.order_by("then_name", "then_extension", "then_registration")
    with queries.by_index():
        page = Paginator(ordered, pages.size_of(request.GET)).get_page(request.GET.get("page"))
        page.object_list = _told(page.object_list, context)
    context |= {
        "page": page,
        "export": request.GET.urlencode(),
        "export_formats": pages.EXPORT_FORMATS,
        "sizes": pages.PAGE_SIZES,
        "chips": pages.chips(request.GET, options | {"q": {}}),
        "options": options,
        "chosen": {field: request.GET.getlist(field) for field in options},
        "faults": [[sentence] for sentence in strange.values()],
    }
    return render(request, "then/handsets.html", context)


def handset(request: HttpRequest, pk: int) -> HttpResponse:
    """Where a handset's lines were then, and what had happened."""
    found = get_object_or_404(Handset.objects.select_related("group", "site"), pk=pk)
    context = _context(request, "handsets", found.site.time_zone, mac=found.mac)
    if context is None:
        return _no_such_time(request)
    of_it = queries.of_handset(found.pk)
    there = queries.fleet_at(context["then"].at, timezone.now(), of_it)
    lines = _told(there.order_by("then_extension"), context)
    context |= {"handset": found, "lines": lines}
    return render(request, "then/handset.html", context)


def _context(
    request: HttpRequest, nav: str, zone: str = "", **changes: Any
) -> dict[str, Any] | None:
    """What all of these pages show; None where `at` names no time."""
    zones = pages.zones()
    zone = pages.common_zone({"": zone} if zone else zones)
    then = looking_back.instant_of(request.GET, zone, timezone.now())
    if then is None:
        return None
    return {
        "nav": nav,
        "then": then,
        "troubles": looking_back.Troubles(queries.troubles_at(then.at)),
        "zone": zone,
        "zones": zones,
        "transitions": recent(at__lte=then.at, **changes),
        "group_ids": dict(ServerGroup.objects.values_list("name", "pk")),
    }


def _counts(context: dict[str, Any], group: str = "") -> dict[str, Any]:
    counted = queries.counts_at(context["then"].at, timezone.now())
    if group:
        counted = [each for each in counted if each["then_group"] == group]
    summed = looking_back.summed(counted, context["troubles"])
    return {"summed": summed, "sentence": looking_back.sentence(summed["states"])}


def _told(rows: Iterable[dict[str, Any]], context: dict[str, Any]) -> list[dict[str, Any]]:
    """These rows with what was wrong with their servers."""
    troubles = context["troubles"]
    return [
        row
        | {
            "silent": troubles.is_silent(row),
            "troubles": troubles.of(row["then_group"], row["then_server"]),
        }
        for row in rows
    ]


def _no_such_time(request: HttpRequest) -> HttpResponse:
    messages.warning(request, "That is no time Rollcall can show; here is the fleet as it is now.")
    return redirect(request.path)
