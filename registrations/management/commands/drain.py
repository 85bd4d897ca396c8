"""`manage.py drain`: empty a server for maintenance from the command line."""

import getpass
import time
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from fleet.models import Server
from registrations import jobs
from registrations.models import Drain

POLL_S = 0.5
"""How often `--wait` looks."""


class Command(BaseCommand):
    help = "Move all handsets off a server, keep it empty for a while, and bring them home."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("server", help="its name, or ADDRESS or ADDRESS:PORT")
        parser.add_argument("--from", dest="begin", metavar="TIME", help="ISO 8601; default: now")
        until = parser.add_mutually_exclusive_group(required=True)
        until.add_argument("--until", metavar="TIME", help="ISO 8601, with its offset")
        until.add_argument("--minutes", type=int, help="how long it lasts")
        until.add_argument("--end", action="store_true", help="end the one that is on")
        parser.add_argument(
            "--abort-above",
            type=int,
            default=jobs.Terms().abort_above_percent,
            metavar="PERCENT",
            help="stop when more of a wave failed; 100: never (default %(default)s)",
        )
        parser.add_argument("--wave-size", type=int, help="handsets of one group in a wave")
        parser.add_argument("--wait", action="store_true", help="until it has begun, or ended")

    def handle(self, *args: Any, **options: Any) -> None:
        server, user = _server(options["server"]), f"{getpass.getuser()} (command line)"
        try:
            drain = _end(server, user) if options["end"] else _begin(server, user, options)
        except jobs.OrderRefused as wrong:
            raise CommandError(wrong.sentence) from wrong
        except jobs.JobIsOver as over:
            raise CommandError(str(over)) from over
        self._tell(drain)
        if options["wait"]:
            self._wait(drain, {"done"} if options["end"] else {"empty", "not_empty"})

    def _wait(self, drain: Drain, goals: set[str]) -> None:
        state = ""
        while state not in goals | {"done", "called_off"}:
            time.sleep(POLL_S)
            jobs.advance_all()
            drain = jobs.drains().get(pk=drain.pk)
            row = jobs.drain_row(drain)
            now = row["state"]
            if now != state:
                self._tell(drain)
                state = now
        job = drain.home if "done" in goals else drain.away
        if job is None:
            return
        told = jobs.progress(job)
        self.stdout.write(f"{told['moved']} moved, {told['failed']} failed.")
        if told["failed"] or told["aborted_at"]:
            raise CommandError(told["abort_reason"] or "Some of them did not move.")
        if state == "not_empty":
            raise CommandError(f"{drain.server} is not empty: {row['left']} still on it.")

    def _tell(self, drain: Drain) -> None:
        state = jobs.drain_row(drain)["state"].replace("_", " ")
        self.stdout.write(
            f"Drain {drain.pk} of {drain.server}: {state}, until "
            f"{drain.ends_at.isoformat(timespec='seconds')}."
        )
        self.stdout.flush()


def _server(text: str) -> Server:
    address, _, port = text.rpartition(":")
    place = Q(address=text)
    if port.isdecimal():
        place |= Q(address=address, port=int(port))
    found = Server.objects.filter(Q(name=text) | place).order_by("pk")
    places = {(server.address, server.port) for server in found}
    if not found:
        raise CommandError(f"There is no server {text!r}.")
    if len(places) > 1:
        raise CommandError(f"{text!r} is several servers; give ADDRESS:PORT.")
    return found[0]


def _begin(server: Server, user: str, options: dict[str, Any]) -> Drain:
    begins = _time(options["begin"]) if options["begin"] else timezone.now()
    minutes = options["minutes"]
    ends = begins + timedelta(minutes=minutes) if minutes else _time(options["until"])
    terms = jobs.Terms(options["abort_above"], options["wave_size"])
    return jobs.drain(server, jobs.Window(begins, ends), user, terms)


def _end(server: Server, user: str) -> Drain:
    there = jobs.drains().filter(
        server__address=server.address, server__port=server.port, finished_at=None
    )
    drain = there.order_by("begins_at").first()
    if drain is None:
        raise CommandError(f"{server} is not being drained.")
    return jobs.end(drain, user)


def _time(text: str | None) -> datetime:
    found = parse_datetime(text or "")
    if found is None or found.tzinfo is None:
        raise CommandError(f"{text!r} is no time with an offset, such as 2026-11-27T22:00-07:00.")
    return found
