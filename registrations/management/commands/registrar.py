"""`manage.py registrar`: a small real registrar, for trying a fleet file or a handset out."""

import asyncio
import contextlib
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from registrations.registrar.authentication import PasswordOf
from registrations.registrar.fleet_users import FleetUsers
from registrations.registrar.server import Server


class Command(BaseCommand):
    help = "Run a small SIP registrar on UDP (digest authentication, nothing kept on disk)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--listen", action="append", required=True, metavar="HOST:PORT", help="may be repeated"
        )
        users = parser.add_mutually_exclusive_group(required=True)
        users.add_argument(
            "--from-fleet", action="store_true", help="the fleet's own lines are its users"
        )
        users.add_argument(
            "--user", action="append", metavar="USER:PASSWORD", help="may be repeated"
        )
        parser.add_argument("--realm", default="rollcall", help="of the digest challenges")

    def handle(self, *args: Any, **options: Any) -> None:
        places = [_place(text) for text in options["listen"]]
        fleet = FleetUsers() if options["from_fleet"] else None
        users = fleet or given_users(options["user"])
        servers = [Server(host, port, options["realm"], users) for host, port in places]
        try:
            asyncio.run(self._run(servers, fleet))
        except OSError as error:
            raise CommandError(f"The registrar cannot listen: {error}") from error

    async def _run(self, servers: list[Server], fleet: FleetUsers | None) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        loading = None
        if fleet:
            loading = asyncio.create_task(fleet.keep_loaded(await fleet.timed_load()))
        try:
            for server in servers:
                await server.start()
                self.stdout.write(f"listening on {server.host}:{server.port}")
            waiting = asyncio.create_task(stop.wait())
            await asyncio.wait(
                {waiting, *({loading} if loading else ())}, return_when=asyncio.FIRST_COMPLETED
            )
            waiting.cancel()
        finally:
            for server in servers:
                server.stop()
            if loading:
                loading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await loading


def given_users(given: list[str]) -> PasswordOf:
    """`USER:PASSWORD` words; each user may bind the address of record of that name only."""
    passwords: dict[str, str] = {}
    for text in given:
        user, colon, password = text.partition(":")
        if not user or not colon:
            raise CommandError("Write --user USER:PASSWORD.")
        passwords[user] = password

    def password_of(user: str, aor: str) -> str | None:
        bound = aor.partition(":")[2].rpartition("@")[0]
        return passwords.get(user) if user == bound else None

    return password_of


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise CommandError(f"Write --listen HOST:PORT, not {text!r}.")
    return host.strip("[]"), int(port)
