"""`manage.py up`: Rollcall on one machine, from its stores to the demo's registrars."""

import asyncio
import errno
import socket
import sys
from contextlib import closing
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection, connections

from fleet import embedded_redis
from fleet.supervisor import AlreadyRunning, Output, Spec, Supervisor

WEB_SECONDS = 60.0
"""How long the web process may take until it answers."""
MOVED = "moved"
"""The file in DATA_DIR that `move_from` leaves there."""
THREADS = 4
"""Of a worker: its tasks only rouse the event loop that does the work."""


class Command(BaseCommand):
    help = "Start everything on this machine and keep it running until Ctrl-C."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        output = Output(settings.DATA_DIR / "logs")
        try:
            asyncio.run(run(output))
        except AlreadyRunning:
            sys.exit(
                f"Rollcall: it already runs on {settings.DATA_DIR}; stop it first, or choose "
                "another folder with DATA_DIR=..."
            )
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            sys.exit(f"Rollcall: the database cannot be used: {reason}")
        except (CommandError, OSError) as error:
            sys.exit(f"Rollcall: {error}")
        except asyncio.CancelledError:
            output.say("stopped")


async def run(output: Output) -> None:
    """Everything, until cancelled. CommandError says why it could not even begin."""
    async with Supervisor(settings.DATA_DIR / "run", output) as supervisor:
        check_here()
        check_ports()
        embedded_redis.private_folder(settings.RUN_DIR)
        if settings.REDIS_URL.startswith(f"unix://{settings.RUN_DIR}/"):
            await supervisor.start(embedded_redis.spec(settings.RUN_DIR))
            await embedded_redis.wait_ready(settings.REDIS_URL)
        output.say(f"starting on {address()}; logs in {settings.DATA_DIR / 'logs'}")
        said, has_demo = await asyncio.to_thread(prepare)
        for line in said.splitlines():
            output.say(line)
        for spec in children(has_demo):
            await supervisor.start(spec)
        if await web_answers():
            output.say(f"Rollcall is on {address()} (Ctrl-C stops it)")
        else:
            output.say(f"the web process does not answer yet; {settings.DATA_DIR}/logs says why")
        await asyncio.Event().wait()


def check_here() -> None:
    """Raise CommandError where everything moved from here to another database."""
    moved = settings.DATA_DIR / MOVED
    if settings.EMBEDDED and moved.exists():
        raise CommandError(
            f"{moved.read_text().strip()} Start it with DATABASE_URL. Two installations would "
            f"fight over the same handsets; to go back to this one, delete {moved}."
        )


def check_ports() -> None:
    """Raise CommandError where a port of ours is already taken."""
    host, port = answerer_place()
    if not 0 < port < 65536:
        raise CommandError(
            f"PORT {settings.PORT} leaves no port for the SIP answerer (PORT + 1000): choose one "
            "up to 64535, or name the answerer's with SIP_CONTACT=HOST:PORT."
        )
    _check_free(
        socket.SOCK_STREAM, settings.BIND, settings.PORT, "choose another with PORT=8001 make run"
    )
    _check_free(
        socket.SOCK_DGRAM,
        host,
        port,
        "it is for the SIP answerer: choose another with SIP_CONTACT=HOST:PORT, or another PORT "
        "(the answerer's is PORT + 1000)",
    )


def answerer_place() -> tuple[str, int]:
    """Where the answerer listens."""
    if not settings.SIP_CONTACT:
        return "", settings.PORT + 1000
    host, _, port = settings.SIP_CONTACT.rpartition(":")
    return host.strip("[]"), int(port)


def _check_free(kind: socket.SocketKind, host: str, port: int, otherwise: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, kind)) as probe:
        if kind is socket.SOCK_STREAM:
            # As the web server does: a connection that is just closing takes no port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise CommandError(f"port {port} is reserved for root; {otherwise}.") from None
        except OSError as error:
            if kind is socket.SOCK_DGRAM and error.errno != errno.EADDRINUSE:
                # SIP_CONTACT may be an address that only the outside has for us.
                return
            taken = error.errno == errno.EADDRINUSE
            why = "is already taken" if taken else f"cannot be used ({error.strerror})"
            raise CommandError(
                f"port {port} on {host or 'this machine'} {why}; {otherwise}."
            ) from None


def prepare() -> tuple[str, bool]:
    """Bring the database up; give what to tell the admin and whether there is a demo to run."""
    try:
        told, demo = StringIO(), StringIO()
        call_command("prepare", stdout=told)
        if settings.DEMO:
            call_command("demo", prepare=True, stdout=demo)
        return told.getvalue().strip(), bool(demo.getvalue().strip())
    finally:
        connections.close_all()


def children(has_demo: bool) -> list[Spec]:
    """What runs, in the order of starting: registrars before those who ask them."""
    python, manage = sys.executable, str(settings.BASE_DIR / "manage.py")
    env = {"PYTHONPATH": str(settings.BASE_DIR), "DEMO": "1" if has_demo else "0"}
    # Rollcall's worker takes JSON only, so that Celery's warning to root does not apply.
    celery = [
        python,
        "-W",
        "ignore:You're running the worker",
        "-m",
        "celery",
        "--quiet",
        "-A",
        "fleet.config.celery",
    ]
    queues = ",".join(f"site.{name}" for name in settings.WORKER_SITES) or "rollcall"
    web = [python, "-m", "uvicorn", "fleet.config.asgi:application", "--loop", "uvloop"]
    web += ["--host", settings.BIND, "--port", str(settings.PORT), "--no-server-header"]
    web += ["--ws-per-message-deflate", "false", "--timeout-graceful-shutdown", "3"]
    worker = ["worker", "-P", "threads", "-c", str(THREADS), "-Q", queues]
    worker += ["--without-mingle", "--without-gossip"]
    workers = 1 if connection.vendor == "sqlite" else settings.WORKERS
    return [
        *([Spec("demo", [python, manage, "demo"], env, grace=3.0)] if has_demo else []),
        Spec("web", web, env),
        *(
            Spec(f"worker-{n}", [*celery, *worker, "-n", f"worker-{n}@%h"], env)
            for n in range(1, workers + 1)
        ),
        Spec("beat", [*celery, "beat", "--pidfile="], env, grace=3.0),
        Spec("answerer", [python, manage, "answerer"], env, grace=3.0),
    ]


def address() -> str:
    host = f"[{settings.BIND}]" if ":" in settings.BIND else settings.BIND
    return f"http://{host}:{settings.PORT}/"


async def web_answers() -> bool:
    """Whether somebody listens at our address within a minute."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.BIND, settings.BIND)  # noqa: S104
    try:
        async with asyncio.timeout(WEB_SECONDS):
            while True:
                try:
                    _, writer = await asyncio.open_connection(host, settings.PORT)
                except OSError:
                    await asyncio.sleep(0.1)
                    continue
                writer.close()
                return True
    except TimeoutError:
        return False
