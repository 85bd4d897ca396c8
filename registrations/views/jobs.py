"""Jobs: orders to bring handsets home, and what became of each handset."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from fleet.roles import Role, require_role
from registrations import jobs, pages
from registrations.models import Job, JobResult

POLL_OVER = 286
"""htmx: show this answer and stop asking (htmx docs, "Polling")."""


@require_safe
@require_role(Role.VIEWER)
def listing(request: HttpRequest) -> HttpResponse:
    """All orders to bring handsets home, newest first."""
    page = pages.page_of(jobs.listing(), request.GET)
    shown = [jobs.overview(job) for job in page]
    words = jobs.words([job["scope"] for job in shown])
    context = {
        "nav": "jobs",
        "page": page,
        "jobs": list(zip(shown, words, strict=True)),
        "sizes": pages.PAGE_SIZES,
        "zone": pages.common_zone(pages.zones()),
    }
    return render(request, "jobs.html", context)


@require_safe
@require_role(Role.VIEWER)
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """One order: what it did to each handset and why. Polled by its own page while it runs."""
    found = get_object_or_404(jobs.listing(), pk=pk)
    shown = jobs.overview(found)
    results = JobResult.objects.filter(job=pk).select_related("registration__line__handset")
    chosen = request.GET.get("result", "")
    if chosen in JobResult.Result.values:
        results = results.filter(result=chosen)
    context = {
        "nav": "jobs",
        "job": shown,
        "scope": jobs.words([shown["scope"]])[0],
        "page": pages.page_of(results.order_by(pages.worst_first(), "pk"), request.GET),
        "kinds": pages.result_counts(pk, found.kind),
        "chosen": chosen,
        "sizes": pages.PAGE_SIZES,
        "zone": pages.common_zone(pages.zones()),
    }
    polled = "HX-Request" in request.headers
    over = polled and shown["state"] != "running"
    return render(
        request,
        "_job_progress.html" if polled else "job.html",
        context,
        status=POLL_OVER if over else 200,
    )


@require_role(Role.OPERATOR)
def job_new(request: HttpRequest) -> HttpResponse:
    """GET names whom the order would touch and asks; POST gives the order."""
    now = timezone.now()
    scope = pages.scope_of(request.POST if request.method == "POST" else request.GET, now)
    if request.method == "POST":
        try:
            made = jobs.order(scope, request.user.get_username())
        except jobs.ScopeError as fault:
            messages.error(request, fault.sentence)
            return redirect("handsets")
        return redirect("job", made.pk)
    context = {
        "nav": "jobs",
        "preview": pages.preview(scope, now),
        "scope": jobs.words([scope])[0],
        "fields": pages.scope_fields(request.GET),
    }
    polled = "HX-Request" in request.headers
    return render(request, "_job_dialog.html" if polled else "job_new.html", context)


@require_POST
@require_role(Role.OPERATOR)
def job_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back what nobody has begun yet."""
    try:
        jobs.cancel(get_object_or_404(Job, pk=pk), request.user.get_username())
    except jobs.JobIsOver as over:
        messages.info(request, str(over))
    return redirect("job", pk)
