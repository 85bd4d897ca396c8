"""Saving the list of handsets as it is under a name, and what may become of a saved view."""

from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from fleet.roles import Role, require_role
from registrations import saved_views
from registrations.models import SavedView
from registrations.shown import handset_list


@require_POST
@require_role(Role.VIEWER, narrowed=True)
def create(request: HttpRequest) -> HttpResponse:
    """Keep the list as it is under a name."""
    given = QueryDict(request.POST.get("query", ""))
    seen = handset_list.look(given, request.user, timezone.now())
    shown = [column.key for column in seen.columns]
    name, shared = request.POST.get("name", ""), "shared" in request.POST
    try:
        view = saved_views.save(request.user, name, seen.params, shown, shared)
    except saved_views.ViewRefused as refused:
        messages.error(request, str(refused))
        return redirect(f"{reverse('handsets')}?{given.urlencode()}")
    return _to(view)


@require_POST
@require_role(Role.VIEWER, narrowed=True)
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Rename, share or take back a view."""
    view = _mine(request, slug)
    name, shared = request.POST.get("name", ""), "shared" in request.POST
    return _done(request, view, lambda: saved_views.change(view, request.user, name, shared))


@require_POST
@require_role(Role.VIEWER, narrowed=True)
def replace(request: HttpRequest, slug: str) -> HttpResponse:
    """Let the view be the list as it is now."""
    view = _mine(request, slug)
    given = QueryDict(request.POST.get("query", ""))
    seen = handset_list.look(given, request.user, timezone.now())
    shown = [column.key for column in seen.columns]
    return _done(request, view, lambda: saved_views.replace(view, request.user, seen.params, shown))


@require_POST
@require_role(Role.VIEWER, narrowed=True)
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    """Forget a view; the handsets in it are not touched."""
    view = _mine(request, slug)
    try:
        saved_views.delete(view, request.user)
    except saved_views.ViewRefused as refused:
        messages.error(request, str(refused))
        return _to(view)
    messages.success(request, f"View {view.name} is deleted; no handset was touched.")
    return redirect("handsets")


def _mine(request: HttpRequest, slug: str) -> SavedView:
    try:
        return saved_views.find(slug, request.user)
    except saved_views.NoSuchView as missing:
        raise Http404(str(missing)) from missing


def _done(request: HttpRequest, view: SavedView, work: Callable[[], None]) -> HttpResponse:
    try:
        work()
    except saved_views.ViewRefused as refused:
        messages.error(request, str(refused))
    return _to(view)


def _to(view: SavedView) -> HttpResponse:
    return redirect(f"{reverse('handsets')}?{QueryDict.fromkeys(['view'], view.slug).urlencode()}")
