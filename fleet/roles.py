"""Who may do what: four roles, each with the rights of those before it.

And where: a page or an API method is for users who are limited to sites only if it says that what
it shows and does is `narrowed` to them (`fleet.reach`); all others refuse them.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import wraps
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from fleet import reach

User = AbstractBaseUser | AnonymousUser | None
View = Callable[..., HttpResponseBase]


class Role(IntEnum):
    """Ordered: a role may do whatever a lower one may. Kept as Django groups of these names."""

    VIEWER = 1
    OPERATOR = 2
    CONFIGURER = 3
    ADMIN = 4

    @property
    def group_name(self) -> str:
        return self.name.lower()

    @property
    def word(self) -> str:
        return self.name.capitalize()

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    Role.VIEWER: "sees everything, changes nothing",
    Role.OPERATOR: "brings handsets home, drains servers, and stops such jobs",
    Role.CONFIGURER: "changes sites, groups, servers, handsets and imports them",
    Role.ADMIN: "manages users, tokens and keys",
}


def role_of(user: User) -> Role | None:
    """The highest role of `user`; None for anonymous, inactive, and users in no role's group.

    None too in a session in which a password has to be chosen first.
    """
    if user is None or not user.is_authenticated or not user.is_active:
        return None
    if getattr(user, "must_change_password", False):
        return None
    cached = getattr(user, "_rollcall_role", 0)
    if cached != 0:
        return cached
    if getattr(user, "is_superuser", False):
        return Role.ADMIN
    names = {role.group_name: role for role in Role}
    named = user.groups.filter(name__in=names)  # type: ignore[union-attr]
    held = list(named.values_list("name", "user__site_limits__site"))
    role = max((names[name] for name, _ in held), default=None)
    limits = frozenset(site for _, site in held if site is not None)
    user._rollcall_sites = limits if limits and role != Role.ADMIN else None  # type: ignore[union-attr]
    user._rollcall_role = role  # type: ignore[union-attr]
    return role


def sites_of(user: User) -> reach.Sites:
    """The ids of the sites a user with a role is limited to; None where to none, as all admins."""
    role_of(user)
    return getattr(user, "_rollcall_sites", None)


def limit(user: Any, most: Role) -> None:
    """Let this user, as loaded here, do no more than `most`, whatever role they have."""
    held = role_of(user)
    user._rollcall_role = None if held is None else min(held, most)


def has_role(user: User, least: Role) -> bool:
    role = role_of(user)
    return role is not None and role >= least


def check(request: HttpRequest, least: Role, *, narrowed: bool = False) -> HttpResponseBase | None:
    """None when the asker may; the way to the log-in when anonymous; PermissionDenied (403).

    What comes after it is within the asker's reach.
    """
    reach.enter(sites_of(request.user))
    if has_role(request.user, least):
        if not narrowed and reach.sites() is not None:
            raise PermissionDenied(reach.LIMITED)
        return None
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if getattr(request.user, "must_change_password", False):
        return redirect("password")
    raise PermissionDenied(
        f"This needs the role {least.word}. An admin can give you the role you need."
    )


def require_role(least: Role, *, narrowed: bool = False) -> Callable[[View], View]:
    """Decorate a view function: anonymous visitors go to the log-in, lower roles get a 403.

    Who is limited to sites too, unless the view is `narrowed`.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            refused = check(request, least, narrowed=narrowed)
            return refused or view(request, *args, **kwargs)

        return checked

    return decorate


class RoleRequiredMixin:
    """For class-based views: names the least role in `required_role`."""

    required_role = Role.VIEWER

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return check(request, self.required_role) or super().dispatch(  # type: ignore[misc]
            request, *args, **kwargs
        )


class RolePermission(BasePermission):
    """DRF: `view.required_roles = {"GET": Role.VIEWER, ...}`; a method not named needs ADMIN.

    A view without `required_roles` lets viewers read and admins do the rest. Users who are limited
    to sites have the methods of `view.narrowed` and no other.
    """

    message = "Your role does not allow this."

    def has_permission(self, request: Request, view: Any) -> bool:
        method = request.method or ""
        roles: Mapping[str, Role] = getattr(view, "required_roles", {"GET": Role.VIEWER})
        if method in {"HEAD", "OPTIONS"}:
            method = "GET"
        if not has_role(request.user, roles.get(method, Role.ADMIN)):
            return False
        reach.enter(sites_of(request.user))
        if reach.sites() is not None and method not in getattr(view, "narrowed", ()):
            self.message = reach.LIMITED
            return False
        return True


def context(request: HttpRequest) -> dict[str, Any]:
    """For templates: `role` (or None) and what it may: may_operate, may_configure, may_admin.

    `sees_only`: the names of the sites to which the user is limited; empty where to none. Who is
    configures nothing, for that is the whole installation's, but takes over an address.
    """
    user = getattr(request, "user", None)
    limited = sites_of(user) is not None
    return {
        "role": role_of(user),
        "sees_only": list(user.site_limits.values_list("site__name", flat=True)) if limited else [],  # type: ignore[union-attr]
        "may_operate": has_role(user, Role.OPERATOR),
        "may_configure": has_role(user, Role.CONFIGURER) and not limited,
        "may_override": has_role(user, Role.CONFIGURER),
        "may_admin": has_role(user, Role.ADMIN),
    }
