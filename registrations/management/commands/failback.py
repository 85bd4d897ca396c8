"""`manage.py failback`: bring handsets home from the command line."""

import getpass
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from fleet.models import ServerGroup, Site
from registrations import jobs
from registrations.models import Job, Registration
from registrations.queries import plain_mac

POLL_S = 0.5
"""How often `--wait` looks."""


class Command(BaseCommand):
    help = "Ask handsets back to their primary, and say what became of each."

    def add_arguments(self, parser: ArgumentParser) -> None:
        scope = parser.add_mutually_exclusive_group(required=True)
        scope.add_argument("--mac", nargs="+", metavar="MAC", help="these handsets")
        scope.add_argument("--group", metavar="NAME", help="all handsets of a group")
        scope.add_argument("--site", metavar="NAME", help="all handsets of a site")
        scope.add_argument("--filter", metavar="QUERY", help="as the handset list's address has it")
        scope.add_argument("--all", action="store_true", help="all handsets there are")
        parser.add_argument(
            "--abort-above",
            type=int,
            default=jobs.Terms().abort_above_percent,
            metavar="PERCENT",
            help="stop when more of a wave failed; 100: never (default %(default)s)",
        )
        parser.add_argument("--wave-size", type=int, help="handsets of one group in a wave")
        parser.add_argument(
            "--despite-hold",
            action="store_true",
            help="also in no-failback hours, during a drain, after a rollback",
        )
        parser.add_argument("--wait", action="store_true", help="until every handset has a result")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            terms = jobs.Terms(options["abort_above"], options["wave_size"])
            user, despite = f"{getpass.getuser()} (command line)", options["despite_hold"]
            job = jobs.order(_scope(options), user, terms, despite_hold=despite)
        except jobs.OrderHeld as held:
            raise CommandError(
                f"{held} Say --despite-hold to bring them home all the same."
            ) from held
        except (jobs.ScopeError, jobs.OrderRefused) as wrong:
            raise CommandError(wrong.sentence) from wrong
        progress = jobs.progress(job)
        self.stdout.write(f"Failback {job.pk}: {_count(progress['total'])} asked home.")
        if options["wait"]:
            progress = self._wait(job, progress)
        for result in progress["results"]:
            self.stdout.write(_line(result))
        self.stdout.write(_sum(progress))
        if progress["failed"]:
            raise CommandError(f"{_count(progress['failed'])} did not come home.")

    def _wait(self, job: Job, progress: dict[str, Any]) -> dict[str, Any]:
        done = progress["done"]
        while progress["finished_at"] is None:
            time.sleep(POLL_S)
            jobs.advance_all()
            progress = jobs.progress(job)
            if progress["done"] != done:
                done = progress["done"]
                self.stdout.write(f"{done} of {progress['total']} done.")
                self.stdout.flush()
        return progress


def _scope(options: dict[str, Any]) -> dict[str, Any]:
    if options["mac"]:
        return {"registrations": _of_macs([plain_mac(mac) for mac in options["mac"]])}
    for kind, model in (("group", ServerGroup), ("site", Site)):
        if name := options[kind]:
            found = model.objects.filter(name=name).values_list("pk", flat=True).first()
            if found is None:
                raise CommandError(f"There is no {kind} {name!r}.")
            return {kind: found}
    return {"filter": options["filter"]} if options["filter"] else {"all": True}


def _of_macs(macs: list[str]) -> list[int]:
    rows = Registration.objects.filter(line__handset__mac__in=macs).order_by("pk")
    found = dict(rows.values_list("pk", "line__handset__mac"))
    if missing := sorted(set(macs) - set(found.values())):
        raise CommandError(f"There is no handset {', '.join(missing)}.")
    return list(found)


def _line(result: dict[str, Any]) -> str:
    word = jobs.result_word(Job.Kind.FAILBACK, result["result"])
    text = f"{result['mac']} {result['extension']}: {word}"
    if result["seconds"] is not None:
        text += f" in {result['seconds']:.1f} s"
    return f"{text}. {result['reason']}".rstrip()


def _sum(progress: dict[str, Any]) -> str:
    waiting = progress["total"] - progress["done"]
    parts = [f"{progress['moved']} moved", f"{progress['failed']} failed"]
    if progress["left_out"]:
        parts.append(f"{progress['left_out']} left out")
    if waiting:
        parts.append(f"{waiting} waiting")
    return f"Failback {progress['id']} {progress['state']}: {', '.join(parts)}."


def _count(handsets: int) -> str:
    return "1 handset" if handsets == 1 else f"{handsets} handsets"
