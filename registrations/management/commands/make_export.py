"""`manage.py make_export ID`: make one export that was ordered; workers start it by themselves."""

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from registrations.exports import orders


class Command(BaseCommand):
    help = "Make an export that was ordered, if nobody else makes it."
    # The worker that starts it has been through them: they are a third of the way to the first row.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        # Agents and pages come first.
        os.nice(5)
        orders.make(options["id"])
