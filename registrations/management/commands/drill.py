"""`manage.py drill`: a failover drill from the command line."""

import getpass
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from fleet.models import ServerGroup, Site
from registrations import jobs
from registrations.jobs.drill_rows import drill_sentence
from registrations.models import Drill

POLL_S = 0.5
"""How often `--wait` looks."""


class Command(BaseCommand):
    help = "Move handsets to their other servers for some minutes and home; say how it went."

    def add_arguments(self, parser: ArgumentParser) -> None:
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("--group", metavar="NAME")
        who.add_argument("--site", metavar="NAME")
        who.add_argument("--filter", metavar="QUERY", help="query string of the list of handsets")
        who.add_argument("--all", action="store_true")
        parser.add_argument("--minutes", type=int, default=10, help="away (default %(default)s)")
        parser.add_argument("--sample", type=int, help="so many of them (default: all)")
        parser.add_argument(
            "--abort-above",
            type=int,
            default=jobs.Terms().abort_above_percent,
            metavar="PERCENT",
            help="stop when more of a wave failed; 100: never (default %(default)s)",
        )
        parser.add_argument("--wave-size", type=int, help="handsets of one group in a wave")
        parser.add_argument("--wait", action="store_true", help="until it is over")
        parser.add_argument(
            "--evidence", type=Path, metavar="FILE", help="and write it; with --wait"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["evidence"] and not options["wait"]:
            raise CommandError("--evidence is written when it is over: give --wait too.")
        exercise = jobs.Exercise(options["minutes"], options["sample"])
        terms = jobs.Terms(options["abort_above"], options["wave_size"])
        user = f"{getpass.getuser()} (command line)"
        try:
            drill = jobs.drill(_scope(options), exercise, user, terms)
        except (jobs.OrderRefused, jobs.ScopeError) as wrong:
            raise CommandError(wrong.sentence) from wrong
        self._tell(drill)
        if options["wait"]:
            self._wait(drill, options["evidence"])

    def _wait(self, drill: Drill, path: Path | None) -> None:
        said = ""
        while drill.finished_at is None:
            time.sleep(POLL_S)
            jobs.advance_all()
            drill = Drill.objects.select_related("away", "home").get(pk=drill.pk)
            now = drill_sentence(drill, "UTC", timezone.now())
            if now != said:
                self._tell(drill)
                said = now
        if path is not None:
            path.write_text(drill.evidence)
        self.stdout.write(f"SHA-256 of its evidence: {drill.digest}")
        is_stopped = drill.away is not None and drill.away.aborted_at is not None
        if drill.stragglers or is_stopped:
            raise CommandError(said)

    def _tell(self, drill: Drill) -> None:
        sentence = drill_sentence(drill, "UTC", timezone.now())
        self.stdout.write(f"Drill {drill.pk}: {sentence}")
        self.stdout.flush()


def _scope(options: dict[str, Any]) -> dict[str, Any]:
    for name, model in (("group", ServerGroup), ("site", Site)):
        if options[name]:
            found = model.objects.filter(name=options[name]).first()
            if found is None:
                raise CommandError(f"There is no {name} {options[name]!r}.")
            return {name: found.pk}
    return {"filter": options["filter"]} if options["filter"] else {"all": True}
