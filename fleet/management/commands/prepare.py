"""`manage.py prepare`: the database migrated and an admin to log in as. Safe to run again."""

import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from fleet import checks

ADMIN = "admin"
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that are mistaken for one another."""


class Command(BaseCommand):
    help = "Migrate the database and make the first admin; a generated password is printed once."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        errors, warnings = checks.at_start()
        if errors:
            raise CommandError("\n".join(errors))
        for warning in warnings:
            self.stdout.write(f"Warning: {warning}")
        users = get_user_model()._default_manager
        if users.filter(is_superuser=True).exists() or users.filter(username=ADMIN).exists():
            return
        password = settings.ADMIN_PASSWORD or generate()
        get_user_model().objects.create_superuser(ADMIN, password=password)
        shown = "as in ADMIN_PASSWORD" if settings.ADMIN_PASSWORD else password
        self.stdout.write(f"Log in as {ADMIN}, password {shown} (told this once)")


def generate() -> str:
    """Sixteen letters and digits that a person can type, of about 79 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
