"""What it costs to keep the SIP trace: on the agents' loop, in its thread, in Redis' memory."""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import redis

from benchmarks.figure import Figure
from registrations.registrar.registrar import Registrar
from registrations.sip import message
from registrations.sip.register import Attempt, RegisterClient
from registrations.sip.timers import rfc3261_schedule
from registrations.trace import Ended, Kind, pack
from registrations.trace.record import Noted
from registrations.values import Account, Target
from tests.support import stores

TRIES = 2000
LINES = 50_000
AT_ONCE = 500
NOW = 1_800_000_000.0
_TARGET = Target(1, "127.0.0.2", 5070)
_SOURCE = ("127.0.0.1", 40000)


def measure() -> Iterator[Figure]:
    """Microseconds of CPU per try, bytes per try, megabytes per fleet."""
    renewals = [tried for tried in _exchanges() if len(tried) == 2]
    noting = _us_each(_note, renewals)
    yield Figure("noting a renewal, on the agents' loop", noting, "us CPU", at_most=5)
    ended = [Ended(1, noted[-1][0], "bound", "") for noted in renewals]
    packing = _us_each(lambda i: pack(renewals[i], ended[i : i + 1]), range(len(renewals)))
    yield Figure("masking and packing it, in the trace's thread", packing, "us CPU")
    packed = [pack(noted, ended[i : i + 1]) for i, noted in enumerate(renewals)]
    yield Figure("a renewal, packed", sum(map(len, packed)) / len(packed), "bytes", at_most=450)
    with stores.redis() as redis_here:
        yield from _kept(redis_here.url, packed)


def _kept(url: str, packed: list[bytes]) -> Iterator[Figure]:
    os.environ |= {"REDIS_URL": url, "DJANGO_SETTINGS_MODULE": "fleet.config.settings"}
    import django

    django.setup()
    from registrations import ring

    client, writer = redis.Redis.from_url(url), ring.Writer()
    before = client.info("memory")["used_memory"]
    begun = time.process_time()
    for _ in range(ring.DEPTH):
        for first in range(0, LINES, AT_ONCE):
            lines = range(first, first + AT_ONCE)
            writer.write([ring.Kept(n, packed[n % len(packed)], {1: True}) for n in lines], NOW)
    spent = time.process_time() - begun
    used = (client.info("memory")["used_memory"] - before) / 1e6
    yield Figure("writing it into Redis", spent / ring.DEPTH / LINES * 1e6, "us CPU")
    name = f"the last {ring.DEPTH} tries of {LINES:,} lines in Redis"
    yield Figure(name, used, "MB", at_most=ring.MOST_REDIS_BYTES / 1e6)


def _exchanges() -> Iterator[list[Noted]]:
    """First registrations and renewals, as the runtime notes them."""

    def token() -> str:
        return secrets.token_hex(12)

    registrar = Registrar(
        "bench.example", lambda user, aor: "secret", token=token, secret=b"bench", min_expires=1
    )
    for n in range(TRIES):
        account = Account(str(4000 + n), "bench.example", "", "secret", f"urn:uuid:{uuid4()}")
        client = RegisterClient(account, token=token)
        yield _exchange(client, registrar, NOW)
        yield _exchange(client, registrar, NOW + 10)


def _exchange(client: RegisterClient, registrar: Registrar, now: float) -> list[Noted]:
    noted: list[Noted] = []
    contact = "sip:bench@127.0.0.1:9000"
    client.begin(Attempt(_TARGET, "127.0.0.1:40000", contact, 60, rfc3261_schedule()), now)
    while client.wants_permit:
        client.grant(now)
        for data in client.datagrams_to_send():
            noted.append((now, Kind.SENT, _TARGET, data))
            answer = registrar.answer(data, _SOURCE, now)
            if answer is None:
                raise RuntimeError("the registrar did not answer")
            now += 0.002
            noted.append((now, Kind.HEARD, None, answer))
            said = message.parse(answer)
            if isinstance(said, message.Response):
                client.receive(said, now)
    return noted


def _note(noted: list[Noted]) -> list[Noted]:
    """What the runner does as messages pass, and nothing else."""
    kept: list[Noted] = []
    for at, kind, target, data in noted:
        if len(kept) < AT_ONCE:
            kept.append((at, kind, target, data[:4096]))
    return kept


def _us_each(work: Callable[..., object], over: "list[list[Noted]] | range") -> float:
    begun = time.process_time()
    for one in over:
        work(one)
    return (time.process_time() - begun) / len(over) * 1e6
