"""From when on something is an incident: seen and changed, in force with the next look."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from fleet.guarded_forms import locked
from fleet.roles import Role, require_role
from registrations.alerts.limiting import ensure_limits
from registrations.models import IncidentLimit
from registrations.shown import limit_forms
from registrations.views.group_edit import REFUSED


@require_safe
@require_role(Role.CONFIGURER)
def limits(request: HttpRequest) -> HttpResponse:
    """Every kind of incident, and from when on it is one."""
    ensure_limits()
    return render(request, "limits.html", {"nav": "incidents", "rows": limit_forms.rows()})


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.CONFIGURER)
def limit_edit(request: HttpRequest, kind: str) -> HttpResponse:
    """The numbers of one kind."""
    ensure_limits()
    row = get_object_or_404(IncidentLimit, kind=kind)
    if request.method != "POST":
        return _page(request, limit_forms.LimitForm(instance=row))
    with transaction.atomic():
        form = limit_forms.LimitForm(request.POST, instance=locked(row))
        if form.is_valid():
            form.save()
    if form.errors:
        return _page(request, form)
    messages.success(request, f"{form.instance}: kept, and in force within seconds.")
    return redirect("limits")


def _page(request: HttpRequest, form: limit_forms.LimitForm) -> HttpResponse:
    context = {"nav": "incidents", "form": form, "thing": form.instance}
    return render(request, "limit.html", context, status=REFUSED if form.errors else 200)
