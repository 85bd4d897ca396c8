"""The cap of a server holds across worker processes, whatever makes the handsets come."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from registrations.sip import message
from tests.support import product
from tests.support.cap import metronome
from tests.support.fleet import WARD_POLICY, fleet_file, users
from tests.support.peer import Peer, accept, peer
from tests.support.stores import Postgres
from tests.support.waiting import wait_until

LINES, CAP = 160, 20


def sent_at(registrar: Peer) -> list[float]:
    """By the kernel's clock."""
    return [at for at, _ in registrar.registers()]


def senders(registrar: Peer) -> Counter[str]:
    """New REGISTERs by the socket they came from: each worker process has its own."""
    vias = (request.headers["via"][0] for _, request in registrar.registers())
    return Counter(via.split()[1].split(";")[0] for via in vias)


def challenged(request: message.Request) -> bytes:
    """A registrar of which every handset needs two requests: the retry counts for the cap too."""
    if "authorization" in request.headers:
        return accept(request)
    reply = accept(request, "401 Unauthorized").decode()
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5, qop="auth"'
    return reply.replace("Content-Length", f"{challenge}\r\nContent-Length").encode()


@pytest.mark.timeout(900)
def test_two_worker_processes_never_send_a_server_more_than_its_cap_in_any_second(
    tmp_path: Path, postgres: Postgres, redis_url: str
) -> None:
    places = [("127.0.0.76", challenged), ("127.0.0.77", challenged)]
    with (
        peer(*places[0]) as one,
        peer(*places[1]) as two,
        product.running(
            tmp_path / "capped", redis_url=redis_url, database_url=postgres.create("capped")
        ) as running,
        metronome() as meter,
    ):
        running.start_worker()
        servers = [SimpleNamespace(address=p.address[0], port=p.address[1]) for p in (one, two)]
        policy = WARD_POLICY | {"max_registrations_per_second": CAP, "expires": 60}
        running.import_fleet(fleet_file("capped", users(LINES), servers, policy))  # type: ignore[arg-type]

        def all_on(state: str) -> bool:
            return running.states() == Counter({state: LINES})

        wait_until(lambda: all_on("primary"), 90, "all at home", every=0.5, seen=running.states)
        one.answer = lambda request: accept(request, "503 Service Unavailable")
        wait_until(lambda: all_on("secondary"), 90, "all moved", every=0.5, seen=running.states)
        for registrar in (one, two):
            assert meter.most_in_a_second(sent_at(registrar)) <= CAP
            shares = senders(registrar)
            assert len(shares) == 2 and min(shares.values()) > LINES / 20, shares
