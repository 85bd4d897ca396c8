"""A whole worker's traces, against a real registrar and real silence: what ladders are made of."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registrations import ring
from registrations.models import Registration
from registrations.runtime import calm
from registrations.trace import Try, as_try
from registrations.trace.ladder import End
from tests.registrations.runtime.test_engine import place, runtime
from tests.registrations.runtime.test_kamailio import force_renewal
from tests.support.claims import at, make_due, make_group, make_lines
from tests.support.kamailio import SILENCE, Kamailio, running
from tests.support.peer import peer
from tests.support.processes import free_port
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("live_redis")]

HOST = "127.0.0.69"


@pytest.fixture
def registrar(tmp_path: Path) -> Iterator[Kamailio]:
    with running(HOST, free_port(HOST), tmp_path) as one:
        yield one


def line(*places: str, **policy: Any) -> Registration:
    group = make_group(addresses=places, max_registrations_per_second=0, **policy)
    return make_due(make_lines(1, group, domain="rollcall.test"))[0]


def tries(row: Registration) -> list[Try]:
    return [as_try(record) for record in ring.read(row.pk).tries]


def newest(row: Registration, tried: int) -> Try:
    """The newest of so many tries, once they are kept."""
    return wait_until(lambda: len(found := tries(row)) == tried and found[0], 30, "the try is kept")


def again(worker: Any, row: Registration) -> None:
    """Let the line renew now, once its last result is saved."""
    wait_until(lambda: not Registration.objects.exclude(lease_token=None).exists(), 30, "saved")
    force_renewal()
    worker.kick(row.site_id)


def test_a_registrars_challenge_and_its_yes_its_503_and_its_silence(registrar: Kamailio) -> None:
    with peer("127.0.0.70") as second, runtime() as worker:
        here = f"{registrar.address}:{registrar.port}"
        row = line(here, place(second), retry_timeout=300, retry_max_count=2)
        worker.kick(row.site_id)
        first = newest(row, 1)
        ends = [t.end for t in first.transactions]
        assert ends == [End.AGAIN, End.TOLD, End.TOOK], "challenged, asked who is bound, bound"
        assert first.transactions[-1].answers[-1].line == "200 OK"
        assert first.transactions[0].answers[0].code == 401

        registrar.set_fault(SILENCE)
        again(worker, row)
        moved = newest(row, 2)
        assert (moved.transactions[0].end, moved.transactions[-1].end) == (End.SILENT, End.TOOK)
        assert {t.target for t in moved.transactions} == {here, place(second)}
        assert (len(moved.transactions[0].sends), moved.transactions[0].answers) == (3, ())

        registrar.set_fault(503)
        wait_until(lambda: not Registration.objects.exclude(lease_token=None), 30, "saved")
        Registration.objects.update(wish="failback", wish_version=1, due_at=at(time.time() - 1))
        worker.kick(row.site_id)
        [busy] = newest(row, 3).transactions
        assert (busy.end, busy.answers[0].code) == (End.BUSY, 503)

    [pair] = [
        p for p in ring.read(row.pk).pairs if as_try(p.failure).transactions[0].target == here
    ]
    assert pair.success is not None
    assert as_try(pair.failure).transactions[0].end is End.SILENT, "the first, not the last"
    assert as_try(pair.success).transactions[-1].end is End.TOOK
    _nothing_secret(row)


def _nothing_secret(row: Registration) -> None:
    texts = [
        text
        for tried in tries(row)
        for t in tried.transactions
        for text in (t.request, *(answer.text for answer in t.answers))
    ]
    row.refresh_from_db()
    nonces = [
        secret
        for course in row.snapshot["courses"].values()
        for of_one in course["client"]["nonces"].values()
        for kept in of_one
        for secret in (kept["nonce"], kept["cnonce"])
    ]
    assert nonces
    for secret in ["pw-4000", *nonces]:
        assert not any(secret in text for text in texts)


def test_a_renewal_after_trouble_is_news_and_the_next_alike_is_not(
    registrar: Kamailio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calm, "TOLD_EVERY_S", 1e-6)
    with runtime() as worker:
        here = f"{registrar.address}:{registrar.port}"
        row = line(here, register_retry_base=1, register_retry_max=1)
        worker.kick(row.site_id)
        newest(row, 1)
        again(worker, row)
        newest(row, 2)
        monkeypatch.setattr(calm, "TOLD_EVERY_S", 1e12)
        registrar.set_fault(503)
        again(worker, row)
        newest(row, 3)
        registrar.set_fault(None)
        wait_until(lambda: worker.kick(row.site_id) or len(tries(row)) == 4, 30, "it tries again")
        assert newest(row, 4).transactions[-1].end is End.TOOK
        before = Registration.objects.get().renewals
        again(worker, row)
        wait_until(lambda: Registration.objects.get().renewals > before, 30, "it is renewed")
        Registration.objects.update(wish="resume", wish_version=1)
        again(worker, row)
        assert newest(row, 5).transactions[-1].end is End.TOOK, "somebody asked for it"


def test_a_refused_connection_is_a_try_too() -> None:
    with peer("127.0.0.70") as gone:
        pass
    with peer("127.0.0.71") as second, runtime() as worker:
        row = line(place(gone), place(second))
        worker.kick(row.site_id)
        found = newest(row, 1).transactions
    assert (found[0].end, found[0].failure) == (End.UNREACHABLE, "Connection refused")
    assert found[-1].end is End.TOOK


def test_what_a_stopped_worker_had_under_way_is_kept_as_cut_short() -> None:
    with peer("127.0.0.70", answer=None) as silent, runtime() as worker:
        row = line(place(silent))
        worker.kick(row.site_id)
        wait_until(lambda: silent.heard, 30, "it was asked")
        worker.stop()
    [cut] = tries(row)
    assert cut.transactions[0].end is End.CUT
    assert "the worker stopped" in cut.transactions[0].sentence


def test_agents_go_on_without_redis(settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    with peer("127.0.0.70") as registrar, runtime() as worker:
        row = line(place(registrar))
        worker.kick(row.site_id)
        wait_until(lambda: Registration.objects.get().state == "primary", 30, "registered")
