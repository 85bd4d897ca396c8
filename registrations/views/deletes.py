"""Deleting a site, a group, a server or a handset: first what hangs on it, then the deed."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from fleet import inventory
from fleet.roles import Role, require_role
from registrations.shown.dependents import KINDS, after, dependents
from registrations.views.group_edit import REFUSED


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.CONFIGURER)
def delete(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """GET says what depends on it; POST deletes it."""
    if kind not in KINDS:
        raise Http404
    thing = get_object_or_404(KINDS[kind], pk=pk)
    name, back, found, wrong = str(thing), after(kind, thing), dependents(kind, thing), ""
    if request.method == "POST":
        if found.must_be_named and request.POST.get("named", "").strip() != name:
            wrong = f"Type {name} to delete it."
        else:
            try:
                inventory.delete(thing)
            except inventory.InUse as used:
                wrong = str(used)
            else:
                messages.success(request, f"{kind.capitalize()} {name} is deleted.")
                return redirect(back)
    context = {
        "nav": "sites" if kind == "site" else "handsets" if kind == "handset" else "groups",
        "kind": kind,
        "thing": thing,
        "name": name,
        "found": found,
        "back": back,
        "wrong": wrong,
    }
    page = "_delete_dialog.html" if "HX-Request" in request.headers else "delete.html"
    return render(request, page, context, status=REFUSED if wrong else 200)
