"""`manage.py export_history`: the history as a file, the same bytes as the API's export."""

from argparse import ArgumentParser
from typing import Any

from django.http import QueryDict

from registrations.management.exporting import ExportCommand

FILTERS = ("since", "until", "group", "mac")


class Command(ExportCommand):
    help = "Write the history to a file, and filter, range and row count to FILE.meta.json."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", help="ISO 8601, from this moment on")
        parser.add_argument("--until", help="ISO 8601, before this moment")
        parser.add_argument("--group", help="the group's name")
        parser.add_argument("--mac", help="the handset's MAC")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        params = QueryDict(mutable=True)
        for name in ("format", *FILTERS):
            if options[name]:
                params[name] = options[name]
        self.write("transitions", params, options["output"])
