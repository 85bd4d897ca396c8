"""Emptying a server for maintenance, and the hours in which nothing fails back."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_time
from django.views.decorators.http import require_http_methods, require_POST

from fleet.models import Server, ServerGroup, Site
from fleet.roles import Role, require_role
from registrations import jobs, queries
from registrations.models import Drain, QuietHours
from registrations.shown import pages, previews

LASTS = timedelta(hours=1)
"""How long a drain lasts where nobody has said yet."""


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.OPERATOR)
def drain_new(request: HttpRequest) -> HttpResponse:
    """GET names whom the drain would move and asks; POST orders it."""
    params = request.POST if request.method == "POST" else request.GET
    server = get_object_or_404(Server, pk=pages.id_of(params.get("server", "")))
    zone, now, wrong = pages.common_zone(pages.zones()), timezone.now(), ""
    terms = jobs.Terms()
    try:
        terms = pages.terms_of(params)
        shown = previews.drain_preview(server, terms, now)
        if request.method == "POST":
            if shown.must_be_named and params.get("named", "").strip() != str(server):
                raise jobs.OrderRefused("named", f"Type {server} to drain it.")
            jobs.drain(server, _window(params, zone, now), request.user.get_username(), terms)
            return redirect("jobs")
    except jobs.OrderRefused as fault:
        wrong = fault.sentence
        shown = previews.drain_preview(server, terms, now)
    context = {
        "nav": "jobs",
        "title": "Drain a server",
        "dialog": "_drain_dialog.html",
        "server": server,
        "name": str(server),
        "preview": shown,
        "terms": terms,
        "zone": zone,
        "wrong": wrong,
        "begins_at": params.get("begins_at", ""),
        "ends_at": params.get("ends_at") or pages.local_input((now + LASTS).isoformat(), zone),
    }
    return _dialog(request, context)


@require_POST
@require_role(Role.OPERATOR)
def drain_end(request: HttpRequest, pk: int) -> HttpResponse:
    """End a drain now, or call it off."""
    try:
        jobs.end(get_object_or_404(Drain, pk=pk), request.user.get_username())
    except jobs.JobIsOver as over:
        messages.info(request, str(over))
    return redirect("jobs")


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.CONFIGURER)
def hours_new(request: HttpRequest) -> HttpResponse:
    """GET asks for hours in which nothing fails back; POST keeps them."""
    params = request.POST if request.method == "POST" else request.GET
    group = ServerGroup.objects.filter(pk=pages.id_of(params.get("group", ""))).first()
    site = Site.objects.filter(pk=pages.id_of(params.get("site", ""))).first()
    days = "".join(params.getlist("days"))
    wrong = ""
    if request.method == "POST":
        begins, ends = (_clock(params.get(name, "")) for name in ("begins", "ends"))
        faults = jobs.faults_of_hours(group, site, days)
        if begins is None or ends is None:
            faults["begins"] = "Give both times, as hh:mm."
        if not faults:
            QuietHours.objects.create(
                group=group,
                site=site,
                days=days,
                begins=begins,
                ends=ends,
                made_by=request.user.get_username(),
            )
            return redirect("jobs")
        wrong = " ".join(faults.values())
    context = {
        "nav": "jobs",
        "title": "No-failback hours",
        "dialog": "_hours_dialog.html",
        "groups": ServerGroup.objects.order_by("name"),
        "sites": Site.objects.order_by("name"),
        "days": [(str(number), day) for number, day in enumerate(jobs.DAYS, start=1)],
        "form": {
            "group": group.pk if group else None,
            "site": site.pk if site else None,
            "days": days or "12345",
            "begins": params.get("begins", "06:45"),
            "ends": params.get("ends", "07:15"),
        },
        "wrong": wrong,
    }
    return _dialog(request, context)


@require_POST
@require_role(Role.CONFIGURER)
def hours_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Let handsets fail back in these hours again."""
    get_object_or_404(QuietHours, pk=pk).delete()
    return redirect("jobs")


def _dialog(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    template = context["dialog"] if "HX-Request" in request.headers else "dialog_page.html"
    return render(request, template, context, status=422 if context["wrong"] else 200)


def _window(params: QueryDict, zone: str, now: datetime) -> jobs.Window:
    begins = _instant("begins_at", params, zone) if params.get("begins_at") else now
    return jobs.Window(begins, _instant("ends_at", params, zone))


def _instant(name: str, params: QueryDict, zone: str) -> datetime:
    try:
        at = datetime.fromisoformat(params.get(name, ""))
    except ValueError as error:
        raise jobs.OrderRefused(name, "Give a date and a time.") from error
    return at if at.tzinfo else at.replace(tzinfo=queries.zone_of(zone))


def _clock(text: str) -> Any:
    try:
        return parse_time(text)
    except ValueError:
        return None
