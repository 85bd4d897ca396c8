"""`manage.py move_from DATA_DIR`: out of the embedded database into the one of DATABASE_URL."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from fleet.management.commands.up import MOVED
from fleet.supervisor import AlreadyRunning, lock
from registrations.backup import Refused, move_from


class Command(BaseCommand):
    help = (
        "Take everything from an embedded database into this empty installation. Stop the old "
        "one first; agents go on here as after a restart."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("data_dir", type=Path, help="the DATA_DIR of the embedded database")

    def handle(self, *args: Any, data_dir: Path, **options: Any) -> None:
        try:
            if not data_dir.is_dir():
                raise Refused(f"{data_dir} is no folder.")
            with lock(data_dir / "run"):
                done = move_from(data_dir)
                said = f"What was here moved to another database on {timezone.now():%Y-%m-%d}."
                (data_dir / MOVED).write_text(f"{said}\n")
        except AlreadyRunning as running:
            raise CommandError(f"Rollcall runs on {data_dir}: stop it first.") from running
        except Refused as refused:
            raise CommandError(str(refused)) from refused
        except OSError as error:
            raise CommandError(f"{error.filename or data_dir}: {error.strerror}.") from error
        self.stdout.write(
            f"Moved {done.manifest.rows_of('fleet_handset')} handsets, "
            f"{done.manifest.rows_of('registrations_transition')} changes of history and "
            f"{done.tokens} API tokens. The old database is as it was; 'up' does not start on it."
        )
