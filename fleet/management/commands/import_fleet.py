"""`manage.py import_fleet PATH...`: fleet files (YAML) and tables of handsets (CSV)."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from fleet import services
from fleet.formats.decoding import MAX_BYTES
from fleet.formats.faults import Fault, Place


class Command(BaseCommand):
    help = "Makes or updates sites, groups and handsets. Lists every fault, or changes everything."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", metavar="PATH", help="a .yaml, .yml or .csv file")
        parser.add_argument("--dry-run", action="store_true", help="say what would change")

    def handle(self, *args: Any, paths: list[str], dry_run: bool, **options: Any) -> None:
        files: list[tuple[str, bytes]] = []
        faults: list[Fault] = []
        for path in dict.fromkeys(paths):
            try:
                files.append((path, _content(Path(path))))
            except OSError as error:
                why = f"The file cannot be read: {error.strerror}."
                faults.append(Place(path).fault("", why))
            except IsAFolder as error:
                faults.append(Place(path).fault("", str(error)))
        rows, wrong = services.read_files(files)
        try:
            report = services.apply_import(
                rows, [*faults, *wrong], by="import_fleet", dry_run=dry_run
            )
        except services.ImportRefused as refused:
            for fault in refused.faults:
                self.stderr.write(str(fault))
            count = len(refused.faults)
            raise CommandError(
                f"Nothing was imported: {count} fault{'' if count == 1 else 's'}."
            ) from refused
        self._say(report)

    def _say(self, report: services.Imported) -> None:
        for kind, counts in report.as_dict().items():
            said = ", ".join(f"{number} {word}" for word, number in counts.items())
            self.stdout.write(f"{kind}: {said}")
        if report.dry_run:
            self.stdout.write("Dry run: nothing was changed.")


class IsAFolder(Exception):
    """Its sentence says what to do instead."""


def _content(path: Path) -> bytes:
    if path.is_dir():
        raise IsAFolder(
            "Folders of handset configuration files are not imported yet; give a fleet file "
            "(.yaml) or a table of handsets (.csv)."
        )
    with path.open("rb") as file:
        # One byte more than is read: the reader refuses it with a sentence.
        return file.read(MAX_BYTES + 1)
