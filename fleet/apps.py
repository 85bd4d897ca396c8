"""The app that stores what exists: sites, groups, servers, handsets, lines."""

from typing import Any

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


def make_role_groups(using: str, **_: Any) -> None:
    """Make the four role groups where they are missing: after migrating, and after a flush."""
    from django.contrib.auth.models import Group

    from fleet.roles import Role

    for role in Role:
        Group.objects.using(using).get_or_create(name=role.group_name)


def run_as_planned(connection: Any, **_: Any) -> None:
    """Have PostgreSQL run statements as they are: to compile one takes longer than to run it."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET jit = off")


class FleetConfig(AppConfig):
    name = "fleet"
    default = True
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from fleet import access, audit, checks, compiled, sessions

        compiled.check()
        access.watch()
        sessions.watch()
        audit.register()
        checks.register()
        post_migrate.connect(make_role_groups, sender=self, dispatch_uid="fleet.roles")
        connection_created.connect(run_as_planned, dispatch_uid="fleet.jit")


class RoleAdminConfig(admin_apps.AdminConfig):
    """Django's admin app with our door."""

    default = False

    default_site = "fleet.admin_site.RoleAdminSite"
