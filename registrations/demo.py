"""The demo's two registrars: which they are, whether they run, and how to stop and start one.

The wish to stop one lies in Redis, where the demo's process (`manage.py demo`) reads it and says
every second whether it is listening. Redis forgets: after a restart of all, all are running.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
import redis.asyncio
from django.conf import settings

from fleet.models import Server
from registrations.demo_fleet import GROUPS, PRIMARY, REALM
from registrations.registrar.fleet_users import FleetUsers
from registrations.registrar.server import Server as Registrar

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
HEARD_SECONDS = 3
"""How long the demo's process is believed after it last said what it does."""
DONE_SECONDS = 2.0
"""How long `stop` and `start` wait until it is so."""
_STOPPED = "rollcall:demo:stopped:"
_RUNNING = "rollcall:demo:running:"


@dataclass(frozen=True, slots=True)
class DemoServer:
    """One of the demo's registrars, as the overview's panel shows it."""

    id: int
    """Of one of the fleet's servers at this address."""
    name: str
    address: str
    port: int
    running: bool

    @property
    def place(self) -> str:
        return f"{self.address}:{self.port}"


def servers() -> list[DemoServer]:
    """The demo's registrars, primary first; none where the fleet has no demo."""
    found = _places()
    running: Any = [None] * len(found)
    if found:
        try:
            running = _redis().mget([f"{_RUNNING}{place}" for place in found])
        except redis.RedisError as error:
            logger.warning("cannot ask whether the demo's registrars run: %s", error)
    return [
        DemoServer(rows[0].pk, _name(rows), rows[0].address, rows[0].port, said == "1")
        for rows, said in zip(found.values(), running, strict=True)
    ]


def port() -> int | None:
    """Where the demo's registrars listen now, whatever the fleet is; None where they do not."""
    try:
        told = [key.removeprefix(_RUNNING) for key in _redis().scan_iter(match=f"{_RUNNING}*")]
    except redis.RedisError as error:
        logger.warning("cannot ask whether the demo's registrars run: %s", error)
        return None
    ports = {int(place.rpartition(":")[2]) for place in told if place.startswith(f"{PRIMARY}:")}
    return ports.pop() if ports else None


def stop(server_id: int | str) -> bool:
    """Stop the registrar at that server's address; whether it has stopped within 2 s."""
    return _wish(server_id, stopped=True)


def start(server_id: int | str) -> bool:
    """Start it again, with an empty table; whether it runs within 2 s."""
    return _wish(server_id, stopped=False)


def _wish(server_id: int | str, *, stopped: bool) -> bool:
    place = next((place for place, rows in _places().items() if str(server_id) in _ids(rows)), None)
    if place is None:
        return False
    client = _redis()
    if stopped:
        client.set(f"{_STOPPED}{place}", "1")
    else:
        client.delete(f"{_STOPPED}{place}")
    end = time.monotonic() + DONE_SECONDS
    while (done := client.get(f"{_RUNNING}{place}") == ("0" if stopped else "1")) is False:
        if time.monotonic() > end:
            break
        time.sleep(LOOK_SECONDS / 4)
    return done


def _places() -> dict[str, list[Server]]:
    """The demo's servers by `address:port`; several groups may use one registrar."""
    found: dict[str, list[Server]] = {}
    for server in Server.objects.filter(group__name__in=GROUPS).order_by("priority", "pk"):
        found.setdefault(f"{server.address}:{server.port}", []).append(server)
    return found


def _ids(rows: list[Server]) -> set[str]:
    return {str(row.pk) for row in rows}


def _name(rows: list[Server]) -> str:
    return " / ".join(dict.fromkeys(str(row) for row in rows))


@cache
def _redis() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, decode_responses=True, socket_timeout=2)


async def run(places: list[tuple[str, int]]) -> None:
    """Run a registrar at each place, as wished, until cancelled."""
    users = FleetUsers()
    registrars = {f"{host}:{port}": Registrar(host, port, REALM, users) for host, port in places}
    client = redis.asyncio.Redis.from_url(
        settings.REDIS_URL, decode_responses=True, socket_timeout=2
    )
    loading = asyncio.create_task(users.keep_loaded(await users.timed_load()))
    try:
        while True:
            await _follow(registrars, await _wishes(client, registrars))
            await _tell(client, registrars)
            await asyncio.sleep(LOOK_SECONDS)
            if loading.done():
                loading.result()
    finally:
        loading.cancel()
        for registrar in registrars.values():
            registrar.stop()
        await client.aclose()


async def _wishes(
    client: "redis.asyncio.Redis", registrars: dict[str, Registrar]
) -> dict[str, bool]:
    """Whether each should be stopped; as it is now where Redis does not answer."""
    try:
        stopped = await client.mget([f"{_STOPPED}{place}" for place in registrars])
    except (redis.RedisError, OSError):
        return {place: not one.is_running for place, one in registrars.items()}
    return {place: wish == "1" for place, wish in zip(registrars, stopped, strict=True)}


async def _follow(registrars: dict[str, Registrar], stopped: dict[str, bool]) -> None:
    for place, registrar in registrars.items():
        if stopped[place] and registrar.is_running:
            registrar.stop()
            logger.info("the registrar at %s stopped", place)
        elif not stopped[place] and not registrar.is_running:
            try:
                await registrar.start()
            except OSError as error:
                logger.warning("the registrar at %s cannot start: %s", place, error.strerror)
                await asyncio.sleep(1)
            else:
                logger.info("the registrar at %s runs", place)


async def _tell(client: "redis.asyncio.Redis", registrars: dict[str, Registrar]) -> None:
    try:
        async with client.pipeline(transaction=False) as pipe:
            for place, registrar in registrars.items():
                value = "1" if registrar.is_running else "0"
                pipe.set(f"{_RUNNING}{place}", value, ex=HEARD_SECONDS)
            await pipe.execute()
    except (redis.RedisError, OSError) as error:
        logger.warning("cannot say whether the demo's registrars run: %s", error)
