"""`manage.py make_import ID`: do the next step of an import; workers start it by themselves."""

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from fleet import import_orders


class Command(BaseCommand):
    help = "Look through or import what was asked for, if nobody else does."
    # The worker that starts it has been through them: they are a third of the way to the first row.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        # Agents and pages come first.
        os.nice(5)
        import_orders.make(options["id"])
