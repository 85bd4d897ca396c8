"""Exports made in the background: ordered, watched, downloaded."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from fleet.roles import Role, has_role, require_role
from registrations import exports
from registrations.exports import orders
from registrations.models import ExportJob

WORDS = {
    "transitions": "Changes",
    "registrations": "Handsets as they were shown",
    "reports": "Report",
}


@require_safe
@require_role(Role.VIEWER)
def export_list(request: HttpRequest) -> HttpResponse:
    """What was ordered in the last day, how far it is, and the files."""
    jobs = [orders.described(job) for job in ExportJob.objects.all()]
    context: dict[str, Any] = {
        "nav": "history",
        "jobs": jobs,
        "words": WORDS,
        "is_moving": any(job["state"] in ("waiting", "running") for job in jobs),
    }
    return render(request, "exports.html", context)


@require_POST
@require_role(Role.VIEWER)
def export_new(request: HttpRequest) -> HttpResponse:
    """Order an export of what a page shows: `kind`, `format` and `query`, the page's filter."""
    params = QueryDict(request.POST.get("query", ""), mutable=True)
    params["format"] = request.POST.get("format", "csv")
    try:
        orders.order(request.POST.get("kind", ""), params, request.user)
    except exports.ExportRefused as refused:
        messages.error(request, str(refused))
    return redirect("exports")


@require_safe
@require_role(Role.VIEWER)
def export_file(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The file, as long as it is kept."""
    job = get_object_or_404(ExportJob, pk=pk)
    if job.finished_at is None:
        raise Http404
    return exports.download(request, job)


@require_POST
@require_role(Role.VIEWER)
def export_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an export back, finished or not: one's own; an admin everybody's."""
    own = ExportJob.objects.filter(pk=pk)
    if not has_role(request.user, Role.ADMIN):
        own = own.filter(asked_by=request.user.get_username())
    own.delete()
    return redirect("exports")
