"""The cap and the pause of a server, by what it really hears from several worker processes.

Two runtimes stand for two processes: each has its own loop, sockets and pacer, and they know of
each other only through the database.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db.models import F

from registrations import store
from registrations.models import Registration, ServerHealth, ServerPause
from registrations.runtime.engine import Name
from registrations.runtime.loop import LoopThread
from registrations.sip import message
from tests.registrations.runtime.test_engine import place, states
from tests.support.cap import metronome
from tests.support.claims import at, make_due, make_group, make_lines
from tests.support.peer import Peer, accept, peer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("database")

CHALLENGE = 'WWW-Authenticate: Digest realm="fleet.test", nonce="n", algorithm=MD5'


@contextmanager
def two_runtimes() -> Iterator[Callable[[int], None]]:
    """Two workers; gives what rouses both."""
    workers = [LoopThread(lambda site: None, Name(f"worker-{i}@test", "")) for i in range(2)]
    for worker in workers:
        worker.start()

    def rouse(site_id: int) -> None:
        for worker in workers:
            worker.kick(site_id)

    try:
        yield rouse
    finally:
        for worker in workers:
            worker.stop()


def fleet(n: int, *registrars: Peer, **policy: object) -> list[Registration]:
    rows = make_due(make_lines(n, make_group(addresses=tuple(map(place, registrars)), **policy)))
    store.ensure_health()
    ServerHealth.objects.update(due_at=at(time.time() + 900))
    return rows


def challenge_first(request: message.Request) -> bytes:
    """A registrar that wants credentials with every request that has none."""
    if request.method == "REGISTER" and "authorization" not in request.headers:
        refusal = accept(request, "401 Unauthorized").decode()
        return refusal.replace("Content-Length", f"{CHALLENGE}\r\nContent-Length").encode()
    return accept(request)


def sent_at(registrar: Peer) -> list[float]:
    return [when for when, _ in registrar.registers()]


def order(wish: str) -> None:
    """Give all the wish in one statement, as jobs do: a result saved amid two would undo it."""
    version = F("wish_version") + 1
    Registration.objects.update(due_at=at(0), wish=wish, wish_version=version)


def away(priority: int, n: int) -> Callable[[], bool]:
    """Whether `n` handsets are on the server of that priority; rouses nobody."""
    return lambda: Registration.objects.filter(server__priority=priority).count() == n


def test_no_server_hears_more_than_its_cap_whatever_the_cause() -> None:
    cap, n = 25, 40
    with peer(answer=challenge_first) as one, peer("127.0.0.65", challenge_first) as two:
        rows = fleet(n, one, two, max_registrations_per_second=cap, fast_failover=True)
        site = rows[0].site_id
        with two_runtimes() as rouse, metronome() as meter:

            def settled(condition: Callable[[], bool]) -> Callable[[], bool]:
                def look() -> bool:
                    rouse(site)
                    return condition()

                return look

            wait_until(settled(away(1, n)), 30, "first registrations", every=0.2, seen=states)
            order("resume")
            one.answer = None
            silence = [
                store.Noticed(
                    row.server_id, site, False, time.time(), "", None, "silent", "", None, 1
                )
                for row in ServerHealth.objects.filter(server__priority=1)
                for _ in range(2)
            ]
            store.hear(silence)
            ServerHealth.objects.update(due_at=at(0))
            wait_until(settled(away(2, n)), 60, "all moved", every=0.2, seen=states)
            one.answer = challenge_first
            order("failback")
            wait_until(settled(away(1, n)), 60, "all home", every=0.2, seen=states)
        assert len(one.registers()) > 2 * n
        assert len(two.registers()) >= n
        assert meter.most_in_a_second(sent_at(one)) <= cap
        assert meter.most_in_a_second(sent_at(two)) <= cap


def test_a_503_with_retry_after_pauses_the_target_for_all_who_go_to_the_next_one_paced() -> None:
    cap, n, pause = 20, 60, 4

    def busy(request: message.Request) -> bytes:
        reply = accept(request, "503 Service Unavailable").decode()
        return reply.replace("Content-Length", f"Retry-After: {pause}\r\nContent-Length").encode()

    with (
        peer(answer=busy) as one,
        peer("127.0.0.65") as two,
        two_runtimes() as rouse,
        metronome() as meter,
    ):
        rows = fleet(n, one, two, max_registrations_per_second=cap)
        site = rows[0].site_id

        def moved() -> bool:
            rouse(site)
            return away(2, n)()

        wait_until(moved, 60, "all on the secondary", every=0.2, seen=states)
        times = [when for when, _ in one.heard]
        began = times[0]
        # What had left before the answer was known everywhere: a block of slots per process.
        assert sum(1 for when in times if when < began + 2) <= cap
        later = [when - began for when in times if began + 2 <= when < began + pause - 0.2]
        assert later == [], "nothing is sent to a target in its pause"
        assert meter.most_in_a_second(sent_at(two)) <= cap
        assert ServerPause.objects.get(server__priority=1).until >= began + pause
