"""`manage.py export_history`: the history as a file, the same bytes as the API's export."""

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.http import QueryDict

from registrations import history

FILTERS = ("since", "until", "group", "mac")


class Command(BaseCommand):
    help = "Write the history to a file, and filter, range and row count to FILE.meta.json."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", required=True, help="csv or jsonl")
        parser.add_argument("--since", help="ISO 8601, from this moment on")
        parser.add_argument("--until", help="ISO 8601, before this moment")
        parser.add_argument("--group", help="the group's name")
        parser.add_argument("--mac", help="the handset's MAC")
        parser.add_argument("-o", "--output", required=True, metavar="FILE", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        params = QueryDict(mutable=True)
        for name in ("format", *FILTERS):
            if options[name]:
                params[name] = options[name]
        try:
            export = history.prepare(params)
        except history.ExportRefused as refused:
            raise CommandError(str(refused)) from refused
        output: Path = options["output"]
        meta = output.with_name(f"{output.name}.meta.json")
        try:
            _write(output, export)
            _write(meta, [json.dumps(export.meta, indent=2, ensure_ascii=False).encode() + b"\n"])
        except OSError as failed:
            raise CommandError(f"Cannot write {failed.filename}: {failed.strerror}.") from failed
        rows = "1 row" if export.rows == 1 else f"{export.rows} rows"
        self.stdout.write(f"{rows} to {output}, what they are to {meta}.")


def _write(path: Path, parts: Any) -> None:
    """Write all of it or leave what was there: half an export must not look like a whole one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            file.writelines(parts)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
