"""`manage.py export_fleet -o FILE`: the whole fleet as a file that can be imported again."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from fleet import exporting


class Command(BaseCommand):
    help = "Write the fleet as .yaml, .xlsx or (handsets alone) .csv, by the file's ending."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
        parser.add_argument(
            "--with-passwords",
            action="store_true",
            help="the SIP passwords too (not in .csv); the audit log says so",
        )

    def handle(self, *args: Any, output: Path, with_passwords: bool, **options: Any) -> None:
        ending = output.suffix.lower().removeprefix(".")
        if ending not in exporting.FORMATS:
            raise CommandError("The file's name must end in .yaml, .xlsx or .csv.")
        if with_passwords and ending not in exporting.WITH_PASSWORDS:
            raise CommandError("A table has no passwords: name a .yaml or .xlsx file.")
        _, write = exporting.FORMATS[ending]
        try:
            if with_passwords:
                output.touch(0o600)
                output.chmod(0o600)
                output.write_bytes(exporting.with_passwords(ending, by="command"))
            else:
                output.write_bytes(write(exporting.rows()))
        except OSError as error:
            raise CommandError(f"The file cannot be written: {error.strerror}.") from error
