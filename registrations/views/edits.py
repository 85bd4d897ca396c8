"""Forms of sites, servers and handsets: a configurer makes them, changes them, deletes them."""

from typing import Any

from django.contrib import messages
from django.db import models
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from fleet.edit_forms import Edit, HandsetEdit, Lines, ServerEdit, SiteEdit, edited, edited_handset
from fleet.models import Handset, Server, ServerGroup, Site
from fleet.roles import Role, require_role
from fleet.zones import names
from registrations.views.group_edit import REFUSED

require_form = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def sites(request: HttpRequest) -> HttpResponse:
    """All sites, and how many handsets stand at each."""
    listed = Site.objects.annotate(n=Count("handsets")).order_by("name")
    return render(request, "sites.html", {"nav": "sites", "sites": listed})


@require_form
@require_role(Role.CONFIGURER)
def site_new(request: HttpRequest) -> HttpResponse:
    """A place with a network of its own."""
    return _site(request, Site())


@require_form
@require_role(Role.CONFIGURER)
def site_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Its name, its zone, and whose workers serve it."""
    return _site(request, get_object_or_404(Site, pk=pk))


def _site(request: HttpRequest, site: Site) -> HttpResponse:
    form = _form(request, SiteEdit, site)
    if form.is_bound and not form.errors:
        messages.success(request, f"Site {form.instance} is kept.")
        return redirect("sites")
    return _page(request, "site_edit.html", form, site, nav="sites", zones=names())


@require_form
@require_role(Role.CONFIGURER)
def server_new(request: HttpRequest, pk: int) -> HttpResponse:
    """A server more for a group; it takes the last place."""
    return _server(request, Server(group=get_object_or_404(ServerGroup, pk=pk)))


@require_form
@require_role(Role.CONFIGURER)
def server_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Where a server is and what it is for."""
    return _server(request, get_object_or_404(Server.objects.select_related("group"), pk=pk))


def _server(request: HttpRequest, server: Server) -> HttpResponse:
    group, title = server.group, str(server)
    form = _form(request, ServerEdit, server)
    if form.is_bound and not form.errors:
        messages.success(request, f"Server {form.instance} is kept; its handsets take it up now.")
        return redirect("group", group.pk)
    return _page(request, "server_edit.html", form, server, nav="groups", group=group, title=title)


@require_form
@require_role(Role.CONFIGURER)
def handset_new(request: HttpRequest) -> HttpResponse:
    """A handset and its lines."""
    return _handset(request, Handset())


@require_form
@require_role(Role.CONFIGURER)
def handset_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """A handset and its lines; passwords go in and never come out."""
    return _handset(request, get_object_or_404(Handset, pk=pk))


def _handset(request: HttpRequest, handset: Handset) -> HttpResponse:
    title = str(handset)
    if request.method == "POST":
        form, lines = edited_handset(handset, request.POST)
        if not (form.errors or lines.total_error_count()):
            messages.success(request, f"Handset {form.instance} is kept.")
            return redirect("handset", form.instance.pk)
    else:
        form, lines = HandsetEdit(instance=handset), Lines(instance=handset)
    more = {"lines": lines, "title": title, "meanwhile": [*form.meanwhile, *lines.meanwhile]}
    return _page(request, "handset_edit.html", form, handset, nav="handsets", **more)


def _form(request: HttpRequest, kind: type[Edit], thing: models.Model) -> Edit:
    return edited(kind, thing, request.POST) if request.method == "POST" else kind(instance=thing)


def _page(
    request: HttpRequest, template: str, form: Edit, thing: models.Model, **more: Any
) -> HttpResponse:
    context = {"form": form, "thing": thing, "meanwhile": form.meanwhile, **more}
    return render(request, template, context, status=REFUSED if form.is_bound else 200)
