"""`manage.py import_fleet PATH...`: fleet files, tables of handsets, handset configuration."""

import os
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from fleet import reading, services
from fleet.formats.decoding import MAX_BYTES, MAX_TOGETHER
from fleet.formats.faults import Fault, Place

NOTES = 50
"""How many things worth knowing are told one by one."""


class Command(BaseCommand):
    help = "Makes or updates sites, groups and handsets. Lists every fault, or changes everything."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "paths",
            nargs="+",
            metavar="PATH",
            help="a fleet file (.yaml), a table of handsets (.csv), a handset's configuration "
            "(.cfg), a folder of such files or a .zip of them",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would change")
        parser.add_argument(
            "--partial", action="store_true", help="import what is right and leave out the rest"
        )
        parser.add_argument(
            "--site", help="where handsets stand whose configuration files are imported"
        )

    def handle(
        self,
        *args: Any,
        paths: list[str],
        dry_run: bool,
        partial: bool,
        site: str | None,
        **options: Any,
    ) -> None:
        faults: list[Fault] = []
        read = services.read_files(list(_files(paths, faults)), site)
        read.faults += faults
        try:
            report = services.apply_import(
                read, by="import_fleet", dry_run=dry_run, partial=partial
            )
        except services.ImportRefused as refused:
            self._tell(refused.faults)
            count = len(refused.faults)
            raise CommandError(
                f"Nothing was imported: {count} fault{'' if count == 1 else 's'}."
            ) from refused
        self._tell(report.left_out)
        self._say(report)

    def _tell(self, faults: list[Fault]) -> None:
        for fault in faults:
            self.stderr.write(str(fault))

    def _say(self, report: services.Imported) -> None:
        for note in report.notes[:NOTES]:
            self.stdout.write(f"note: {note}")
        if len(report.notes) > NOTES:
            self.stdout.write(f"note: and {len(report.notes) - NOTES} more like these")
        for kind, counts in report.as_dict().items():
            said = ", ".join(f"{number} {word}" for word, number in counts.items())
            self.stdout.write(f"{kind}: {said}")
        count = len(report.starting)
        self.stdout.write(f"{count} line{'s' * (count != 1)} that did not register before will.")
        if report.dry_run:
            self.stdout.write("Dry run: nothing was changed.")


def _files(paths: list[str], faults: list[Fault]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file meant; what cannot be read is a fault."""
    left = MAX_TOGETHER
    for path in dict.fromkeys(each for given in paths for each in _meant(Path(given), faults)):
        try:
            content = _content(path)
        except OSError as error:
            why = f"The file cannot be read: {error.strerror}."
            faults.append(Place(str(path)).fault("", why))
            continue
        left -= len(content)
        if left < 0:
            why = f"At most {MAX_TOGETHER // 1024 // 1024} MiB can be imported at once."
            faults.append(Place(str(path)).fault("", why))
            return
        yield str(path), content


def _meant(path: Path, faults: list[Fault]) -> Iterator[Path]:
    """The file, or the files to import in a folder and below it; its links are not followed."""
    if not path.is_dir():
        yield path
        return
    is_empty = True
    for folder, folders, names in os.walk(path):
        folders.sort()
        for file in (Path(folder, name) for name in sorted(names)):
            if reading.ending(file.name) in reading.READ and not file.is_symlink():
                is_empty = False
                yield file
    if is_empty:
        faults.append(Place(str(path)).fault("", "The folder has no file to import."))


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        # One byte more than is read: the reader refuses it with a sentence.
        return file.read(MAX_BYTES + 1)
