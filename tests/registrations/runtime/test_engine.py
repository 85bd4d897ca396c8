"""The whole runtime of a process, against real sockets and a real database."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from registrations import store
from registrations.models import Registration, ServerHealth, Transition
from registrations.runtime import claimer, engine, runner
from registrations.runtime.addressing import Addressing
from registrations.runtime.clock import Lease
from registrations.runtime.engine import Engine, Name
from registrations.runtime.loop import LoopThread
from registrations.runtime.switchboard import Flight, Switchboard
from registrations.sip import message
from tests.support.cap import metronome
from tests.support.claims import at, make_due, make_group, make_lines
from tests.support.peer import Peer, accept, peer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("database")


def place(of: Peer) -> str:
    return f"{of.address[0]}:{of.address[1]}"


def bindings(registrar: Peer) -> list[tuple[float, message.Request]]:
    """The REGISTERs that bind; those without a Contact only ask (R14)."""
    return [(when, r) for when, r in registrar.registers() if "contact" in r.headers]


@contextmanager
def runtime(hint: Callable[[int], None] = lambda site_id: None) -> Iterator[LoopThread]:
    thread = LoopThread(hint, Name("worker@test", ""))
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()


def states() -> dict[str, int]:
    found: dict[str, int] = {}
    for state in Registration.objects.values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


def fleet(n: int, *registrars: Peer, **policy: object) -> list[Registration]:
    policy.setdefault("max_registrations_per_second", 0)
    return make_due(make_lines(n, make_group(addresses=tuple(map(place, registrars)), **policy)))


def test_a_fleet_is_registered_saved_and_written_into_history() -> None:
    with peer() as registrar, runtime() as worker:
        rows = fleet(700, registrar)
        worker.kick(rows[0].site_id)
        wait_until(lambda: states() == {"primary": 700}, 30, "all on primary", seen=states)
        assert len(bindings(registrar)) == 700
        assert len(registrar.registers()) == 1400, "each asked first who is bound"
    assert Transition.objects.filter(cause="first", to_server=place(registrar)).count() == 700
    assert not Registration.objects.exclude(lease_token=None).exists()
    assert not Registration.objects.filter(due_at__lte=at(time.time() + 10)).exists()


def test_the_contact_is_the_answerers_and_the_user_the_extension() -> None:
    with peer() as registrar, runtime() as worker:
        rows = fleet(1, registrar)
        worker.kick(rows[0].site_id)
        wait_until(lambda: bindings(registrar), 30, "a REGISTER")
    [(_, request)] = bindings(registrar)
    assert request.headers["contact"][0].startswith("<sip:4000@127.0.0.1:9000>")


def test_a_refused_connection_moves_the_handset_at_once() -> None:
    with peer() as gone:
        pass
    with peer("127.0.0.65") as second, runtime() as worker:
        rows = fleet(50, gone, second)
        worker.kick(rows[0].site_id)
        wait_until(lambda: states() == {"secondary": 50}, 30, "all on secondary", seen=states)
    assert "refused" in Transition.objects.first().reason


def test_hints_that_get_lost_do_no_harm_and_are_given_only_for_a_backlog() -> None:
    hints: list[int] = []

    def lose(site_id: int) -> None:
        hints.append(site_id)
        raise OSError("the broker is away")

    with peer() as registrar, runtime(lose) as worker:
        rows = fleet(1200, registrar)
        worker.kick(rows[0].site_id)
        wait_until(lambda: states() == {"primary": 1200}, 30, "all on primary", seen=states)
        assert hints
        given = len(hints)
        worker.kick(rows[0].site_id)
        time.sleep(0.3)
        assert len(hints) == given


def test_while_somebody_waits_for_a_claim_nothing_is_done_that_can_wait() -> None:
    async def body() -> None:
        made = Engine(asyncio.get_running_loop(), lambda site_id: None, Name("worker@test", ""))
        its = made._claimer
        try:
            assert its.has_time() and its.is_calm()
            its._backlog.add(1)
            assert not its.has_time() and not its.is_calm()
        finally:
            await made.stop()

    asyncio.run(body())


def test_the_next_claim_is_under_way_while_those_of_the_last_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claimer, "BATCH", 10)
    unbegun: list[int] = []

    async def body(site_id: int) -> None:
        made = Engine(asyncio.get_running_loop(), lambda site_id: None, Name("worker@test", ""))
        run = made._database.run

        async def counting(job: Callable[..., Any], *given: Any) -> Any:
            if job is claimer.claim:
                unbegun.append(len(made._claimer._unbegun))
            return await run(job, *given)

        monkeypatch.setattr(made._database, "run", counting)
        try:
            made.kick(site_id)
            deadline = time.monotonic() + 30
            while await run(states) != {"primary": 25}:
                assert time.monotonic() < deadline, "not in time"
                await asyncio.sleep(0.05)
        finally:
            await made.stop()

    with peer() as registrar:
        rows = fleet(25, registrar)
        asyncio.run(body(rows[0].site_id))
        assert len(bindings(registrar)) == 25
    assert unbegun[:3] == [0, 10, 10]


def test_the_cap_holds_through_the_whole_runtime() -> None:
    cap = 30
    with peer() as registrar, runtime() as worker, metronome() as meter:
        rows = fleet(75, registrar, max_registrations_per_second=cap)
        worker.kick(rows[0].site_id)
        wait_until(lambda: states() == {"primary": 75}, 30, "all on primary", seen=states)
    times = [when for when, _ in registrar.registers()]
    assert meter.most_in_a_second(times) <= cap


def test_a_stopped_worker_gives_its_handsets_back_at_once() -> None:
    with peer(answer=None) as registrar, runtime() as worker:
        rows = fleet(20, registrar)
        worker.kick(rows[0].site_id)
        wait_until(lambda: len(registrar.registers()) >= 20, 30, "all asked")
        worker.stop()
        assert not Registration.objects.exclude(lease_token=None).exists()
        assert Registration.objects.filter(due_at__lte=at(time.time())).count() == 20
        assert states() == {"registering": 20}


def test_an_agent_that_fails_is_put_off_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with peer() as registrar, runtime() as worker:
        rows = fleet(3, registrar)
        broken = rows[1].pk
        nonsense = {
            "aor": "sip:4001@fleet.test",
            "courses": {"group": {"binding": {"phase": "nonsense"}}},
        }
        Registration.objects.filter(pk=broken).update(snapshot=nonsense)
        worker.kick(rows[0].site_id)
        wait_until(lambda: states() == {"primary": 2, "registering": 1}, 30, "two", seen=states)
        wait_until(
            lambda: not Registration.objects.exclude(lease_token=None).exists(), 30, "given back"
        )
        row = Registration.objects.get(pk=broken)
        assert (row.restarts, row.snapshot) == (1, nonsense)
        assert row.stuck_since is not None
        assert f"the agent of registration {broken} failed" in caplog.text
        for _ in range(2):
            # The second rest is half a minute: here nobody waits for it.
            Registration.objects.filter(pk=broken).update(due_at=at(time.time() - 1))
            row.refresh_from_db()
            worker.kick(row.site_id)
            wait_until(lambda: _restarts(broken) != row.restarts, 30, "it is begun anew")
        Registration.objects.filter(pk=broken).update(due_at=at(time.time() - 1))
        worker.kick(row.site_id)
        # What its row had kept was the reason, so in the end it begins without.
        wait_until(lambda: states() == {"primary": 3}, 30, "all three", seen=states)
    assert _restarts(broken) == 0


def test_a_row_that_could_not_be_begun_is_given_back_at_once_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with peer() as registrar, runtime() as worker:
        rows = fleet(3, registrar)
        broken = rows[1].pk
        at_hand = Addressing.at_hand

        def failing(self: Addressing, claimed: store.Claimed) -> store.Claimed | None:
            if claimed.registration_id == broken:
                raise RuntimeError("no way there is known")
            return at_hand(self, claimed)

        monkeypatch.setattr(Addressing, "at_hand", failing)
        worker.kick(rows[0].site_id)
        wait_until(lambda: states() == {"primary": 2, "registering": 1}, 30, "two", seen=states)
        wait_until(
            lambda: not Registration.objects.exclude(lease_token=None).exists(), 30, "given back"
        )
        assert _restarts(broken) == 1
    assert f"registration {broken} could not be begun" in caplog.text


def _restarts(pk: int) -> int:
    return Registration.objects.get(pk=pk).restarts


def test_an_agent_whose_timer_is_lost_is_ended_and_begun_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The looks are every tenth of a second here, and two seconds of stillness are too long."""
    monkeypatch.setattr(engine, "EXTEND_EVERY_S", 0.1)
    monkeypatch.setattr(runner, "longest_silence_s", lambda policy, permit_s: 2.0)
    wake, lost = Switchboard.wake, []

    def lose(self: Switchboard, flight: Flight, when: float | None) -> None:
        if when is None or len(lost) >= 5:
            wake(self, flight, when)
        elif flight not in lost:
            lost.append(flight)

    monkeypatch.setattr(Switchboard, "wake", lose)
    with peer(answer=None) as registrar, runtime() as worker:
        rows = fleet(5, registrar)
        worker.kick(rows[0].site_id)
        wait_until(lambda: Registration.objects.filter(restarts=1).count() == 5, 30, "five stuck")
        stuck = Registration.objects.filter(stuck_since__isnull=False)
        assert stuck.filter(lease_token=None, due_at__lte=at(time.time())).count() == 5
        monkeypatch.undo()
        registrar.answer = accept
        worker.kick(rows[0].site_id)
        wait_until(lambda: states() == {"primary": 5}, 30, "all on primary", seen=states)
        assert not stuck.exists()
    assert "is stuck, still for 2 s" in caplog.text


def test_requests_on_the_workers_own_socket_are_answered() -> None:
    options = (
        b"OPTIONS sip:4000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.64;branch=z9hG4bKo\r\n"
        b"From: <sip:x@y>;tag=1\r\nTo: <sip:4000@y>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    with peer() as registrar, runtime() as worker:
        rows = fleet(1, registrar)
        worker.kick(rows[0].site_id)
        wait_until(registrar.registers, 30, "a REGISTER")
        registrar.send(options)
        wait_until(lambda: registrar.answers, 30, "an answer")
    assert registrar.answers[0].code == 200


def test_a_silent_server_is_found_out_by_probes_and_is_up_again_after_two_answers() -> None:
    def condition() -> str:
        worker.kick(site)
        return ServerHealth.objects.get().condition

    with peer() as registrar, runtime() as worker:
        site = fleet(1, registrar)[0].site_id
        store.ensure_health()
        wait_until(lambda: condition() == "up", 30, "up")
        registrar.answer = None
        ServerHealth.objects.update(due_at=at(0))
        wait_until(lambda: condition() == "silent", 30, "silent")
        registrar.answer = accept
        ServerHealth.objects.update(due_at=at(0), lease_token=None)
        wait_until(lambda: condition() == "up", 30, "up again")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_was_done_while_the_database_was_away_is_saved_when_it_is_back() -> None:
    """SQLite has no connections to lose."""
    hold = threading.Event()

    def answer_late(request: message.Request) -> bytes | None:
        hold.wait(20)
        return accept(request)

    with peer(answer=answer_late) as registrar, runtime() as worker:
        rows = fleet(30, registrar)
        worker.kick(rows[0].site_id)
        wait_until(registrar.registers, 30, "a REGISTER")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        hold.set()
        wait_until(lambda: states() == {"primary": 30}, 30, "all saved", seen=states)


async def _engine_with(leases: list[tuple[store.Claimed, Lease]], seconds: float) -> None:
    engine = Engine(asyncio.get_running_loop(), lambda site_id: None, Name("worker@test", ""))
    for claimed, lease in leases:
        engine._runner.add(claimed, lease)
    await asyncio.sleep(seconds)
    await engine.stop()


def test_a_worker_to_whom_no_hint_comes_looks_for_due_work_itself() -> None:
    with peer() as registrar:
        rows = fleet(3, registrar)
        sites = [rows[0].site_id]
        worker = LoopThread(lambda site_id: None, Name("worker@test", ""), lambda: sites)
        worker.start()
        try:
            wait_until(lambda: states() == {"primary": 3}, 30, "all are registered", seen=states)
        finally:
            worker.stop()


def test_a_worker_that_wakes_up_after_its_lease_sends_and_writes_nothing() -> None:
    with peer() as registrar:
        fleet(3, registrar)
        now = time.time()
        claimed = store.claim_due(None, 9, 30.0, now=now)
        before = list(Registration.objects.order_by("pk").values("state", "snapshot"))
        slept = Lease(now + 30, -1.0)
        other_clock = Lease(now - 10, 1e18)
        asyncio.run(_engine_with(list(zip(claimed, (slept, other_clock, slept), strict=True)), 0.5))
        assert registrar.heard == []
    assert list(Registration.objects.order_by("pk").values("state", "snapshot")) == before
    assert not Transition.objects.exists()


def test_a_lost_lease_says_nothing_about_servers_either(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def take_the_lease_away(request: message.Request) -> bytes | None:
        if request.method == "REGISTER":
            stolen.wait(10)
        return accept(request)

    stolen = threading.Event()
    with peer(answer=take_the_lease_away) as registrar, runtime() as worker:
        rows = fleet(1, registrar)
        store.ensure_health()
        ServerHealth.objects.update(due_at=at(time.time() + 900))
        worker.kick(rows[0].site_id)
        wait_until(registrar.registers, 30, "a REGISTER")
        Registration.objects.update(lease_token=None, due_at=None)
        stolen.set()
        wait_until(lambda: "lease lost" in caplog.text, 30, "the result is dropped")
        worker.stop()
    assert states() == {"registering": 1}
    assert ServerHealth.objects.get().condition == "unknown"


def test_nothing_is_sent_again_after_the_lease_has_ended_in_mid_transaction() -> None:
    with peer(answer=None) as registrar:
        fleet(1, registrar)
        asked_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        [claimed] = store.claim_due(None, 9, 2.2)
        lease = Lease.taken(claimed.lease_until, 2.2, asked_at)
        asyncio.run(_engine_with([(claimed, lease)], 4.0))
        sends = registrar.heard
    # At 0 and 0.5 s, where the machine lets it; not at 1.5 s, which is past the guard.
    assert 1 <= len(sends) <= 2
    assert states() == {"registering": 1}
