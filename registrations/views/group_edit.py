"""The page on which a configurer edits a group and its policy, and sees what handsets would do."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from fleet.edit_forms import GroupEdit, edited
from fleet.models import ServerGroup
from fleet.roles import Role, require_role
from registrations.shown import conduct, outages, pages

REFUSED = 422
"""The status of a form that comes back with faults."""


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.CONFIGURER)
def group_new(request: HttpRequest) -> HttpResponse:
    """A group without servers; they are added on its page."""
    if request.method == "POST":
        form = edited(GroupEdit, ServerGroup(), request.POST)
        if not form.errors:
            messages.success(request, f"Group {form.instance} is there. Give it servers now.")
            return redirect("group", form.instance.pk)
        return render(request, "group_edit.html", {"nav": "groups", "form": form}, status=REFUSED)
    return render(request, "group_edit.html", {"nav": "groups", "form": GroupEdit()})


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.CONFIGURER)
def group_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """GET shows the form, and with values what handsets would do by them; POST sets them."""
    group = get_object_or_404(ServerGroup, pk=pk)
    name = group.name
    is_preview = "HX-Request" in request.headers and request.method != "POST"
    if request.method == "POST":
        form = edited(GroupEdit, group, request.POST)
        if not form.errors:
            messages.success(request, "The policy is set; its handsets take it up now.")
            return redirect("group", pk)
    else:
        form = GroupEdit(request.GET if is_preview else None, instance=group)
    context = {
        "nav": "groups",
        "form": form,
        "group": group,
        "name": name,
        "is_preview": is_preview,
        "wrong": {name: told[0] for name, told in form.errors.items() if name in form.fields},
        **_conduct(form),
    }
    page = "_policy_preview.html" if is_preview else "group_edit.html"
    return render(request, page, context, status=REFUSED if request.method == "POST" else 200)


def _conduct(form: GroupEdit) -> dict[str, Any]:
    """What handsets would do by what stands in the form."""
    now = timezone.now()
    found = conduct.of(form.instance, form.records, now)
    return {
        "outages": found.outages,
        "caveat": outages.CAVEAT,
        "now": now,
        "zone": pages.common_zone(pages.zones()),
        "steps": found.steps,
        "warnings": found.warnings,
    }
