"""Who may do what: four roles, each with the rights of those before it."""

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
    held = user.groups.filter(name__in=names).values_list("name", flat=True)  # type: ignore[union-attr]
    role = max((names[name] for name in held), default=None)
    user._rollcall_role = role  # type: ignore[union-attr]
    return role


def limit(user: Any, most: Role) -> None:
    """Let this user, as loaded here, do no more than `most`, whatever role they have."""
    held = role_of(user)
    user._rollcall_role = None if held is None else min(held, most)


def has_role(user: User, least: Role) -> bool:
    role = role_of(user)
    return role is not None and role >= least


def check(request: HttpRequest, least: Role) -> HttpResponseBase | None:
    """None when the asker may; the way to the log-in when anonymous; PermissionDenied (403)."""
    if has_role(request.user, least):
        return None
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if getattr(request.user, "must_change_password", False):
        return redirect("password")
    raise PermissionDenied(
        f"This needs the role {least.word}. An admin can give you the role you need."
    )


def require_role(least: Role) -> Callable[[View], View]:
    """Decorate a view function: anonymous visitors go to the log-in, lower roles get a 403."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return check(request, least) or view(request, *args, **kwargs)

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

    A view without `required_roles` lets viewers read and admins do the rest.
    """

    message = "Your role does not allow this."

    def has_permission(self, request: Request, view: Any) -> bool:
        method = request.method or ""
        roles: Mapping[str, Role] = getattr(view, "required_roles", {"GET": Role.VIEWER})
        if method in {"HEAD", "OPTIONS"}:
            method = "GET"
        return has_role(request.user, roles.get(method, Role.ADMIN))


def context(request: HttpRequest) -> dict[str, Any]:
    """For templates: `role` (or None) and what it may: may_operate, may_configure, may_admin."""
    user = getattr(request, "user", None)
    return {
        "role": role_of(user),
        "may_operate": has_role(user, Role.OPERATOR),
        "may_configure": has_role(user, Role.CONFIGURER),
        "may_admin": has_role(user, Role.ADMIN),
    }
