"""The SIP rooms on one core, without sockets: clients against the registrar, byte for byte."""

import time
from collections.abc import Callable, Iterator
from itertools import count

from benchmarks.figure import Figure
from registrations.registrar.registrar import Registrar
from registrations.sip import message
from registrations.sip.message import Response
from registrations.sip.register import Attempt, RegisterClient
from registrations.sip.timers import rfc3261_schedule
from registrations.values import Account, Target, Verdict

HANDSETS = 2000
SOURCE = ("127.0.0.1", 40000)
NOW = 1_800_000_000.0
_TARGET = Target(1, "127.0.0.2", 5070)


def measure() -> Iterator[Figure]:
    """How many a second of CPU, in one process."""
    tokens = count(1)

    def token() -> str:
        return f"t{next(tokens):09d}"

    registrar = Registrar(
        "bench.example", lambda user, aor: "secret", token=token, secret=b"bench", min_expires=1
    )
    clients = [
        RegisterClient(
            Account(str(n), "bench.example", str(n), "secret", f"urn:uuid:{n}"), token=token
        )
        for n in range(HANDSETS)
    ]
    first = _seconds(lambda: [_register(client, registrar, NOW) for client in clients])
    yield Figure(
        "first registrations (401, digest, 200; client + registrar)", HANDSETS / first, "/CPU s"
    )
    renewal = _seconds(lambda: [_register(client, registrar, NOW + 10) for client in clients])
    yield Figure("renewals with a cached nonce (client + registrar)", HANDSETS / renewal, "/CPU s")
    alone = HANDSETS / _client_alone(clients, registrar)
    yield Figure("renewals, the client alone", alone, "/CPU s")


def _seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _begin(client: RegisterClient, now: float) -> None:
    contact = "sip:bench@127.0.0.1:9000"
    client.begin(Attempt(_TARGET, "127.0.0.1:40000", contact, 60, rfc3261_schedule()), now)


def _register(client: RegisterClient, registrar: Registrar, now: float) -> None:
    _begin(client, now)
    while client.wants_permit:
        client.grant(now)
        for data in client.datagrams_to_send():
            answer = registrar.answer(data, SOURCE, now)
            if answer is not None:
                client.receive(_parsed(answer), now)
    _check(client)


def _client_alone(clients: list[RegisterClient], registrar: Registrar) -> float:
    """Seconds of the client's own work: making the request, reading the answer."""
    seconds = 0.0
    for client in clients:
        begun = time.process_time()
        _begin(client, NOW + 20)
        client.grant(NOW + 20)
        (data,) = client.datagrams_to_send()
        seconds += time.process_time() - begun
        answer = registrar.answer(data, SOURCE, NOW + 20)
        if answer is None:
            raise RuntimeError("the registrar did not answer")
        begun = time.process_time()
        client.receive(_parsed(answer), NOW + 20)
        _check(client)
        seconds += time.process_time() - begun
    return seconds


def _parsed(data: bytes) -> Response:
    answer = message.parse(data)
    if not isinstance(answer, Response):
        raise RuntimeError("the registrar sent a request")
    return answer


def _check(client: RegisterClient) -> None:
    outcome = client.outcome()
    if outcome is None or outcome.verdict is not Verdict.BOUND:
        raise RuntimeError(f"not registered: {outcome}")
