"""Jobs: orders that move handsets, and what became of each."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleet import reach
from fleet.roles import Role, require_role
from registrations import jobs
from registrations.models import Job, JobResult
from registrations.shown import maintenance, pages, previews, telling

POLL_OVER = 286
"""htmx: show this answer and stop asking (htmx docs, "Polling")."""


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def listing(request: HttpRequest) -> HttpResponse:
    """All jobs, newest first."""
    page = pages.page_of(jobs.listing(), request.GET)
    shown = [jobs.overview(job) for job in page]
    words = telling.titles(shown)
    zone = pages.common_zone(pages.zones())
    context = {
        "nav": "jobs",
        "page": page,
        "jobs": list(zip(shown, words, strict=True)),
        "sizes": pages.PAGE_SIZES,
        "zone": zone,
        **(_maintenance(zone) if reach.sites() is None else {}),
    }
    return render(request, "jobs.html", context)


def _maintenance(zone: str) -> dict[str, Any]:
    """What keeps handsets away, wherever they are."""
    return {
        "drains": maintenance.drains(zone),
        "drills": maintenance.drills(zone),
        "hours_list": maintenance.hours(),
    }


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """One job: what it did to each handset and why. Polled by its own page while it runs."""
    found = get_object_or_404(jobs.listing(), pk=pk)
    shown, by_wave = jobs.overview(found), jobs.by_wave(pk)
    results = JobResult.objects.filter(job=pk).select_related(
        "registration__line__handset", "registration__server"
    )
    chosen = request.GET.get("result", "")
    if chosen in JobResult.Result.values:
        results = results.filter(result=chosen)
    zone = pages.common_zone(pages.zones())
    context = {
        "nav": "jobs",
        "job": shown,
        "title": telling.titles([shown])[0],
        "sentence": telling.sentence(shown, by_wave, zone),
        "waits": jobs.waits(found, timezone.now()),
        "strip": telling.strip(shown, by_wave),
        "page": pages.page_of(results.order_by(pages.worst_first(), "wave", "pk"), request.GET),
        "kinds": pages.result_counts(found.kind, by_wave),
        "looks": {r: telling.result_state(found.kind, r) for r in JobResult.Result.values},
        "words": {r: jobs.result_word(found.kind, r) for r in JobResult.Result.values},
        "chosen": chosen,
        "sizes": pages.PAGE_SIZES,
        "zone": zone,
    }
    polled = "HX-Request" in request.headers
    over = polled and shown["finished_at"] is not None
    return render(
        request,
        "_job_progress.html" if polled else "job.html",
        context,
        status=POLL_OVER if over else 200,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.OPERATOR, narrowed=True)
def job_new(request: HttpRequest) -> HttpResponse:
    """GET names whom the order would touch and asks; POST gives the order."""
    params = request.POST if request.method == "POST" else request.GET
    scope, wrong = pages.scope_of(params), ""
    try:
        terms = pages.terms_of(params)
        shown = previews.preview(scope, terms, timezone.now())
    except (jobs.ScopeError, jobs.OrderRefused) as fault:
        if request.method == "POST":
            messages.error(request, fault.sentence)
            return redirect("handsets")
        terms, shown = jobs.Terms(), previews.Preview(0, 0, 0, 0)
    name = previews.name_of(scope, shown)
    if request.method == "POST":
        if not shown.must_be_named or params.get("named", "").strip() == name:
            return _ordered(request, scope, terms)
        wrong = f"Type {name} to bring {shown.asked} handsets home."
    return _dialog(request, params, shown, terms, name, wrong)


def _ordered(request: HttpRequest, scope: dict[str, Any], terms: jobs.Terms) -> HttpResponse:
    despite_hold = bool(request.POST.get("despite_hold"))
    user = request.user.get_username()
    try:
        return redirect("job", jobs.order(scope, user, terms, despite_hold=despite_hold).pk)
    except jobs.OrderHeld as held:
        # It began between the dialog and the order.
        messages.error(request, str(held))
        return redirect("jobs")


def _dialog(
    request: HttpRequest,
    params: QueryDict,
    shown: previews.Preview,
    terms: jobs.Terms,
    name: str,
    wrong: str,
) -> HttpResponse:
    context = {
        "nav": "jobs",
        "preview": shown,
        "terms": terms,
        "name": name,
        "wrong": wrong,
        "moved": pages.moved(params, shown.total),
        "scope": jobs.words([pages.scope_of(params)])[0],
        "fields": pages.scope_fields(params),
        "zone": pages.common_zone(pages.zones()),
    }
    template = "_job_dialog.html" if "HX-Request" in request.headers else "job_new.html"
    return render(request, template, context, status=422 if wrong else 200)


def _act(what: Callable[[Job, str], Any]) -> Callable[..., HttpResponse]:
    @require_POST
    @require_role(Role.OPERATOR, narrowed=True)
    def view(request: HttpRequest, pk: int) -> HttpResponse:
        try:
            done = what(get_object_or_404(jobs.listing(), pk=pk), request.user.get_username())
        except jobs.JobIsOver as over:
            messages.info(request, str(over))
            return redirect("job", pk)
        return redirect("job", done.pk)

    return view


job_pause = _act(jobs.pause)
job_resume = _act(lambda job, _user: jobs.resume(job))
job_cancel = _act(jobs.cancel)
job_roll_back = _act(jobs.roll_back)
