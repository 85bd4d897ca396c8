"""`manage.py restore FILE`: a backup into an empty installation, all of it or nothing."""

from argparse import ArgumentParser
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from fleet.supervisor import AlreadyRunning, lock
from registrations.backup import Refused, restore


class Command(BaseCommand):
    help = "Restore a backup into an empty installation of either database."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--keys", type=Path, help="the file of keys made with it (FILE.keys where it is)"
        )
        parser.add_argument(
            "--waiting",
            action="store_true",
            help="nobody registers or is watched until somebody says go on the page of the first "
            "run: for a copy beside the installation that was backed up",
        )

    def handle(
        self, *args: Any, file: Path, keys: Path | None, waiting: bool, **options: Any
    ) -> None:
        beside = file.with_name(f"{file.name}.keys")
        keys = keys or (beside if beside.exists() else None)
        try:
            with lock(settings.DATA_DIR / "run") if settings.EMBEDDED else nullcontext():
                done = restore(file, keys, waiting=waiting)
        except AlreadyRunning as running:
            raise CommandError(
                f"Rollcall runs on {settings.DATA_DIR}: stop it before it is restored."
            ) from running
        except Refused as refused:
            raise CommandError(str(refused)) from refused
        at = datetime.fromtimestamp(done.manifest.made_at, UTC)
        self.stdout.write(
            f"Restored {done.manifest.rows_of('fleet_handset')} handsets and "
            f"{done.manifest.rows_of('registrations_transition')} changes of history as of "
            f"{at:%Y-%m-%d %H:%M:%S} UTC, and {done.tokens} API tokens."
        )
        if waiting:
            self.stdout.write(
                f"{done.waiting} lines wait: none registers or is watched until somebody says go, "
                "on the page of the first run (/start/go/)."
            )
        else:
            self.stdout.write(
                "Where handsets are is unknown from then on until each has registered anew. The "
                "installation that was backed up must not run beside this one."
            )
