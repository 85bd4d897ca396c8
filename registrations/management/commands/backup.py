"""`manage.py backup FILE`: fleet, history and users in one file, the keys in another."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registrations.backup import Refused, back_up


class Command(BaseCommand):
    help = "Back up everything as it is at one moment, while Rollcall runs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--keys", type=Path, help="where CREDENTIALS_KEY goes (FILE.keys)")

    def handle(self, *args: Any, file: Path, keys: Path | None, **options: Any) -> None:
        keys = keys or file.with_name(f"{file.name}.keys")
        try:
            made = back_up(file, keys)
        except Refused as refused:
            raise CommandError(str(refused)) from refused
        except OSError as error:
            raise CommandError(f"{error.filename or file}: {error.strerror}.") from error
        manifest = made.manifest
        at = datetime.fromtimestamp(manifest.made_at, UTC)
        self.stdout.write(
            f"{file}: {manifest.rows_of('fleet_handset')} handsets and "
            f"{manifest.rows_of('registrations_transition')} changes of history as of "
            f"{at:%Y-%m-%d %H:%M:%S} UTC, {made.bytes / 1e6:.1f} MB."
        )
        self.stdout.write(
            f"{keys}: what opens its SIP passwords. Keep it apart: who has both files has the "
            "passwords; who has lost it must type them in again."
        )
