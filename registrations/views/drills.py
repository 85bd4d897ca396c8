"""Failover drills: begin one, watch it, end it early, and take what it leaves behind."""

import json
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleet.models import ServerGroup, Site
from fleet.roles import Role, require_role
from registrations import jobs
from registrations.jobs.drill_rows import drills
from registrations.models import Drill
from registrations.shown import maintenance, pages, previews

USUAL_MINUTES = 10


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.OPERATOR)
def drill_new(request: HttpRequest) -> HttpResponse:
    """GET asks with whom; the first POST names whom it would move, the second begins it."""
    params = request.POST if request.method == "POST" else request.GET
    scope = {name: pages.id_of(params[name]) for name in ("group", "site") if params.get(name)}
    wrong, terms, shown = "", jobs.Terms(), None
    try:
        terms = pages.terms_of(params)
        if scope:
            shown = previews.drill_preview(scope, terms, timezone.now())
        if request.method == "POST" and shown is None:
            raise jobs.OrderRefused("group", "Choose a group or a site.")
        if request.method == "POST" and params.get("seen", "") == _seen(scope, shown):
            exercise = jobs.Exercise(_number(params, "minutes") or 0, _number(params, "sample"))
            made = jobs.drill(scope, exercise, request.user.get_username(), terms)
            return redirect("drill", made.pk)
    except (jobs.OrderRefused, jobs.ScopeError) as fault:
        wrong = fault.sentence
    context = {
        "nav": "jobs",
        "title": "Failover drill",
        "dialog": "_drill_dialog.html",
        "groups": ServerGroup.objects.order_by("name"),
        "sites": Site.objects.order_by("name"),
        "scope": scope,
        "preview": shown,
        "seen": _seen(scope, shown),
        "terms": terms,
        "minutes": params.get("minutes", USUAL_MINUTES),
        "sample": params.get("sample", ""),
        "wrong": wrong,
    }
    template = "_drill_dialog.html" if "HX-Request" in request.headers else "dialog_page.html"
    # Asked again: the dialog shows whatever is no success.
    return render(request, template, context, status=422 if request.method == "POST" else 200)


@require_safe
@require_role(Role.VIEWER)
def drill(request: HttpRequest, pk: int) -> HttpResponse:
    """One drill: how it stands, and when it is over what came of it."""
    found = get_object_or_404(Drill.objects.select_related("away", "home"), pk=pk)
    zone = pages.common_zone(pages.zones())
    context = {"nav": "jobs", "drill": maintenance.drill(found, zone), "zone": zone}
    if found.evidence:
        context["evidence"] = evidence = json.loads(found.evidence)
        context["sums"] = maintenance.sums_of(evidence)
    return render(request, "drill.html", context)


@require_POST
@require_role(Role.OPERATOR)
def drill_end(request: HttpRequest, pk: int) -> HttpResponse:
    """Call everybody home now."""
    try:
        jobs.end_drill(get_object_or_404(Drill, pk=pk), request.user.get_username())
    except jobs.JobIsOver as over:
        messages.info(request, str(over))
    return redirect("drill", pk)


@require_safe
@require_role(Role.VIEWER)
def drill_evidence(request: HttpRequest, pk: int) -> HttpResponse:
    """The evidence as it was hashed."""
    found = get_object_or_404(drills(), pk=pk)
    if not found.evidence:
        raise Http404
    name = f'attachment; filename="drill-{pk}.json"'
    headers: dict[str, Any] = {"Content-Disposition": name}
    return HttpResponse(found.evidence, content_type="application/json", headers=headers)


def _seen(scope: dict[str, int], shown: previews.Preview | None) -> str:
    """What somebody who saw this preview sends back: another is shown first."""
    return f"{scope} {shown.asked}" if shown is not None else ""


def _number(params: QueryDict, name: str) -> int | None:
    """A whole number; None where nothing is given. Raises OrderRefused."""
    given = params.get(name, "").strip()
    if given and not (given.isdecimal() and len(given) < 10):
        raise jobs.OrderRefused(name, "Give whole numbers of minutes and of handsets.")
    return int(given) if given else None
