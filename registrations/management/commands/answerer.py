"""`manage.py answerer`: answers the requests that registrars send to our Contacts."""

import asyncio
import errno
import signal
import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from registrations import vitals
from registrations.alerts import looking
from registrations.runtime.answerer import serve


class Command(BaseCommand):
    help = "Answer SIP requests at SIP_CONTACT (default: every address, port PORT + 1000)."

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = place()
        try:
            asyncio.run(_serve(host, port))
        except OSError as error:
            raise CommandError(f"{host}:{port} cannot be used: {error.strerror}.") from error


def place() -> tuple[str, int]:
    """Where to listen. SIP_CONTACT may name an address that only the outside has for us."""
    host, _, port = (settings.SIP_CONTACT or f"0.0.0.0:{settings.PORT + 1000}").rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    everywhere = "::" if ":" in host else "0.0.0.0"  # noqa: S104 - said so in its help
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except socket.gaierror:
            host = everywhere
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            host = everywhere
    return host, int(port)


async def _serve(host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    name = f"answerer@{socket.gethostname()}"
    beside = [
        asyncio.create_task(_say_alive(name, f"{host}:{port}")),
        asyncio.create_task(_look_for_incidents()),
    ]
    try:
        await serve(host, port, stop)
    finally:
        for task in beside:
            task.cancel()
        vitals.farewell("answerer", name)


async def _say_alive(name: str, at: str) -> None:
    while True:
        vitals.tell("answerer", name, at=at)
        await asyncio.sleep(1)


async def _look_for_incidents() -> None:
    """Stand in where beat or every worker is silent: somebody has to tell of that too."""
    while True:
        await asyncio.sleep(looking.LOOK_S)
        await asyncio.to_thread(looking.stand_in)
