"""Readiness: which server would take which handsets, and why the others would not."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fleet.models import Server, ServerGroup, Site
from fleet.roles import Role, require_role
from registrations import queries
from registrations.models import StandbyProof
from registrations.shown import findings as found
from registrations.shown import pages
from registrations.shown import readiness as told
from registrations.shown.behaviour import duration


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def readiness(request: HttpRequest) -> HttpResponse:
    """Every group and server: how many would be taken."""
    now = timezone.now()
    found = told.readiness(now)
    context = {
        "nav": "readiness",
        "groups": found,
        "headline": told.headline(found),
        "findings": queries.findings(now).count(),
        "every": duration(settings.PROVE_EVERY) if settings.PROVE_EVERY else "",
        "now": now,
        "export": "",
        "export_formats": pages.EXPORT_FORMATS,
    }
    return render(request, "readiness.html", context)


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def proofs(request: HttpRequest) -> HttpResponse:
    """One row for each line and server, filtered; the export takes the same query string."""
    filtered = queries.ReadinessFilter(request.GET, queries.proofs(timezone.now()))
    words = {value: str(word) for value, word in StandbyProof.Proof.choices}
    context = _list(request, filtered, {"proof": words}, "registration__line__handset__name", "pk")
    query = request.GET.copy()
    for field in ("page", "size"):
        query.pop(field, None)
    context |= {
        "rows": [(queries.proof_row(row), row.site.time_zone) for row in context["page"]],
        "looks": told.LOOKS,
        "kept": [(field, request.GET[field]) for field in KEPT if field in request.GET],
        "export": query.urlencode(),
        "export_formats": pages.EXPORT_FORMATS,
    }
    return render(request, "proofs.html", context)


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def findings(request: HttpRequest) -> HttpResponse:
    """Where registrars list something else than is believed, and what to do."""
    filtered = queries.FindingFilter(request.GET, queries.findings(timezone.now()))
    words = {"kind": dict(queries.FindingKind.choices)}
    context = _list(request, filtered, words, "kind", "registration__line__handset__name")
    zones = ((queries.finding_row(row), row.site.time_zone) for row in context["page"])
    context |= {
        "rows": [(found.told(row, zone), zone) for row, zone in zones],
        "looks": found.LOOKS,
    }
    return render(request, "findings.html", context)


def _list(
    request: HttpRequest,
    filtered: queries.ProofFilter,
    words: dict[str, dict[str, Any]],
    *order: str,
) -> dict[str, Any]:
    """One page of what the filter finds, and its menus: these words, group, server and site."""
    valid = filtered.is_valid()
    rows = queries.in_full(filtered.qs if valid else filtered.queryset.none())
    options = words | _options()
    return {
        "nav": "readiness",
        "page": pages.page_of(rows.order_by(*order), request.GET),
        "chips": pages.chips(request.GET, options | {"takes": TAKES, "registration": {}}),
        "options": options,
        "chosen": {field: request.GET.getlist(field) for field in options},
        "sizes": pages.PAGE_SIZES,
        "faults": [] if valid else filtered.errors.values(),
    }


KEPT = ("takes", "registration", "size")
"""What the menus do not hold."""
TAKES = {"true": "would be taken", "false": "would not be taken"}


def _options() -> dict[str, dict[str, Any]]:
    servers = Server.objects.filter(register=True).select_related("group").order_by("group__name")
    return {
        "group": {str(pk): name for pk, name in ServerGroup.objects.values_list("pk", "name")},
        "server": {str(s.pk): f"{s.group.name}: {s}" for s in servers},
        "site": {str(pk): name for pk, name in Site.objects.values_list("pk", "name")},
    }
