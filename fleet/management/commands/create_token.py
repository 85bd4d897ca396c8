"""`manage.py create_token USER`: makes an API token, prints its key, and nothing else."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from fleet import tokens
from fleet.roles import Role, role_of


class Command(BaseCommand):
    help = "Makes an API token of a user and prints its key, the key alone: it is told this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER")
        parser.add_argument("--name", default="made by command", help="what it is for")
        parser.add_argument(
            "--role",
            choices=[role.group_name for role in Role],
            help="the most it may; left out: as much as its user",
        )
        parser.add_argument("--days", type=int, help="it expires after so many; left out: never")

    def handle(
        self,
        *args: Any,
        user: str,
        name: str,
        role: str | None,
        days: int | None,
        **options: Any,
    ) -> None:
        found = get_user_model().objects.filter(username=user, is_active=True).first()
        if found is None:
            raise CommandError(f"There is no active user {user!r}.")
        if days is not None and not 0 < days <= tokens.MOST_DAYS:
            raise CommandError(f"--days must be from 1 to {tokens.MOST_DAYS}.")
        most = Role[role.upper()] if role else role_of(found) or Role.VIEWER
        ends = None if days is None else timezone.now() + timedelta(days=days)
        try:
            made = tokens.make(found, name, most, ends, by="command")
        except tokens.Refused as refused:
            raise CommandError(str(refused)) from refused
        self.stdout.write(made.key)
