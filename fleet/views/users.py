"""Users, for admins: who may come in, and what they may."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from fleet import sessions, users
from fleet.forms import InviteForm, RoleForm, SitesForm
from fleet.models import Site
from fleet.roles import Role, require_role


def _page(request: HttpRequest, status: int = 200, **more: Any) -> HttpResponse:
    context = {
        "nav": "users",
        "listed": [(user, users.role_held(user)) for user in users.listed()],
        "roles": list(Role),
        "sites": list(Site.objects.all()),
        "form": InviteForm(),
    }
    return render(request, "users.html", context | more, status=status)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def users_page(request: HttpRequest) -> HttpResponse:
    """Everybody, and a new one; the password they begin with is shown this once."""
    if request.method != "POST":
        return _page(request)
    form = InviteForm(request.POST)
    if not form.is_valid():
        return _page(request, 400, form=form)
    given = form.cleaned_data
    password, by = users.temporary_password(), request.user.get_username()
    sites = [site.pk for site in given["sites"]]
    try:
        users.invite(given["name"], given["role"], password, by=by, sites=sites)
    except users.Refused as refused:
        form.add_error("name", str(refused))
        return _page(request, 400, form=form)
    return _page(request, made=given["name"], password=password)


@never_cache
@require_POST
@require_role(Role.ADMIN)
def user_reset(request: HttpRequest, pk: int) -> HttpResponse:
    """A password to begin with again; it is shown this once."""
    user, password = _user(pk), users.temporary_password()
    try:
        users.give_password(user, password, by=request.user.get_username())
    except users.Refused as refused:
        messages.error(request, str(refused))
        return redirect("users")
    return _page(request, made=user.get_username(), password=password)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def user_sites(request: HttpRequest, pk: int) -> HttpResponse:
    """The sites one user sees; none chosen: all."""
    user = _user(pk)
    name = user.get_username()
    form = SitesForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data["sites"]
        try:
            users.set_sites(user, [site.pk for site in chosen], by=request.user.get_username())
        except users.Refused as refused:
            messages.error(request, str(refused))
        else:
            seen = ", ".join(site.name for site in chosen) + " only" if chosen else "all sites"
            messages.info(request, f"{name} sees {seen} now.")
        return redirect("users")
    held = set(user.site_limits.values_list("site", flat=True))
    context = {
        "nav": "users",
        "who": name,
        "is_admin": users.role_held(user) == Role.ADMIN,
        "sites": [(site, site.pk in held) for site in Site.objects.all()],
        "form": form,
    }
    return render(request, "user_sites.html", context, status=400 if form.is_bound else 200)


def _act(what: Callable[[HttpRequest, Any], str]) -> Callable[..., HttpResponse]:
    """Do one thing to one user and say so; what is refused is said too."""

    @require_POST
    @require_role(Role.ADMIN)
    def view(request: HttpRequest, pk: int) -> HttpResponse:
        try:
            messages.info(request, what(request, _user(pk)))
        except users.Refused as refused:
            messages.error(request, str(refused))
        return redirect("users")

    return view


def _user(pk: int) -> Any:
    return get_object_or_404(get_user_model()._default_manager, pk=pk)


def _role(request: HttpRequest, user: Any) -> str:
    form = RoleForm(request.POST)
    if not form.is_valid():
        return "There is no such role."
    role = form.cleaned_data["role"]
    users.set_role(user, role, by=request.user.get_username())
    return f"{user.get_username()} is {role.word.lower()} now."


def _active(request: HttpRequest, user: Any) -> str:
    is_active = request.POST.get("active") == "1"
    users.set_active(user, is_active, by=request.user.get_username())
    can = "can log in again" if is_active else "is out: no session and no token opens anything"
    return f"{user.get_username()} {can}."


def _end_sessions(request: HttpRequest, user: Any) -> str:
    sessions.end_all(user, by=request.user.get_username())
    return f"{user.get_username()} is logged out everywhere."


user_role, user_active, user_end_sessions = map(_act, (_role, _active, _end_sessions))
