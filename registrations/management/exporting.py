"""What commands that write exports share."""

from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.http import QueryDict

from registrations import exports
from registrations.exports import files


class ExportCommand(BaseCommand):
    """Writes an export to a file, the same bytes as page and API give."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", required=True, help=", ".join(exports.Format))
        parser.add_argument("-o", "--output", required=True, metavar="FILE", type=Path)

    def write(self, kind: str, params: QueryDict, output: Path) -> None:
        try:
            export = exports.prepare(kind, params)
        except exports.ExportRefused as refused:
            raise CommandError(str(refused)) from refused
        try:
            meta = files.write(export, output)
        except OSError as failed:
            raise CommandError(f"Cannot write {failed.filename}: {failed.strerror}.") from failed
        rows = "1 row" if export.rows == 1 else f"{export.rows} rows"
        self.stdout.write(f"{rows} to {output}, what they are to {meta}.")
