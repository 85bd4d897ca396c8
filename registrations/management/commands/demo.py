"""`manage.py demo`: runs the demo's registrars; with `--prepare` makes its fleet first."""

import asyncio
import contextlib
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from registrations import demo, demo_fleet


class Command(BaseCommand):
    help = "Run the two registrars of the demo fleet."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--prepare",
            action="store_true",
            help="make the demo fleet if the database is empty, say if there is one, run nothing",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["prepare"]:
            self._prepare()
            return
        places = demo_fleet.places()
        if not places:
            raise CommandError("This fleet has no demo; it is made on an empty database only.")
        asyncio.run(_run(places))

    def _prepare(self) -> None:
        if demo_fleet.is_empty():
            port = demo_fleet.free_port()
            if port is None:
                self.stderr.write(
                    f"No demo: {demo_fleet.PRIMARY} and {demo_fleet.STANDBY} have no free port."
                )
                return
            demo_fleet.make(port)
        if demo_fleet.is_here():
            places = " and ".join(f"{host}:{port}" for host, port in demo_fleet.places())
            self.stdout.write(f"The demo's registrars are at {places}")


async def _run(places: list[tuple[str, int]]) -> None:
    running = asyncio.ensure_future(demo.run(places))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running
