"""Who may enter Django's admin: the role admin, instead of Django's staff flag."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest

from fleet.roles import Role, has_role


class RoleAdminSite(AdminSite):
    site_header = "Rollcall administration"
    site_title = "Rollcall"
    index_title = "Inventory"

    def has_permission(self, request: HttpRequest) -> bool:
        return has_role(request.user, Role.ADMIN)


class AdminRoleBackend:
    """Gives the role admin every one of Django's permissions, which only its admin asks for."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        return None

    def has_perm(self, user: Any, perm: str, obj: Any = None) -> bool:
        return has_role(user, Role.ADMIN)

    def has_module_perms(self, user: Any, app_label: str) -> bool:
        return has_role(user, Role.ADMIN)
