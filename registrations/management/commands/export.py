"""`manage.py export`: whatever can be exported as a file, the same bytes as page and API give."""

from argparse import ArgumentParser
from typing import Any

from django.http import QueryDict

from registrations.exports import KINDS
from registrations.management.exporting import ExportCommand


class Command(ExportCommand):
    help = "Write an export to a file, and filter, range and row count to FILE.meta.json."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", choices=KINDS)
        parser.add_argument(
            "--filter",
            default="",
            help="as in the page's address, behind its ?: 'group=ward&state=secondary'",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        params = QueryDict(options["filter"], mutable=True)
        params["format"] = options["format"]
        self.write(options["kind"], params, options["output"])
