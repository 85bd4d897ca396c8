"""Orders are written down some at a time: nobody is asked before all are, and none is forgotten."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fleet.models import Handset, Line
from fleet.roles import Role
from registrations import jobs, store
from registrations.jobs import steps, writing
from registrations.models import Drain, Job, JobResult, Registration, State
from tests.support.databases import database, migrated_postgres  # noqa: F401 - fixtures
from tests.support.rows import make_group, make_site, make_user

pytestmark = pytest.mark.usefixtures("database")

Result = JobResult.Result
HANDSETS, BATCH = 50, 20
LATER = writing.PATIENCE + timedelta(seconds=1)


class Died(Exception):
    """The process that wrote is no more; what it had not committed is lost."""


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A group of which everybody is on the secondary, written in three batches."""
    monkeypatch.setattr(store, "BATCH", BATCH)
    made, site = make_group(), make_site()
    handsets = Handset.objects.bulk_create(
        Handset(mac=f"00907c{n:06x}", group=made, site=site) for n in range(HANDSETS)
    )
    lines = Line.objects.bulk_create(
        Line(handset=each, extension=str(n), supervision=Line.Supervision.REGISTER)
        for n, each in enumerate(handsets)
    )
    now = timezone.now()
    there = {"state": State.SECONDARY, "server": made.servers.get(priority=2), "since": now}
    hour = now + timedelta(hours=1)
    Registration.objects.filter(line__in=lines).delete()
    Registration.objects.bulk_create(
        Registration(line=line, group=made, site=site, due_at=hour, expires_at=hour, **there)
        for line in lines
    )
    return made


def asked() -> int:
    return Registration.objects.exclude(wish="").count()


def dies_at(call: int, then: Callable[..., Any]) -> Callable[..., Any]:
    """`then`, until its caller dies at that call."""
    calls = Counter[str]()

    def called(*given: Any) -> Any:
        calls["all"] += 1
        if calls["all"] == call:
            raise Died
        return then(*given)

    return called


def is_whole(job: Job) -> None:
    """Everybody is in it once, with a turn, and the canary is asked."""
    job.refresh_from_db()
    results = job.results.all()
    assert results.count() == HANDSETS
    assert len(set(results.values_list("registration", flat=True))) == HANDSETS
    assert not results.filter(wave=None).exists()
    assert results.filter(wave=0).count() == 1
    assert (job.writing_until, job.wave, asked()) == (None, 0, 1)


def test_no_transaction_of_an_order_writes_more_than_a_batch(
    group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    for name in ("_write_results", "_write_turns"):
        then = getattr(writing, name)

        def counted(pk: int, some: list[Any], *rest: Any, then: Any = then) -> Any:
            assert not connection.in_atomic_block
            sizes.append(len(some))
            return then(pk, some, *rest)

        monkeypatch.setattr(writing, name, counted)
    is_whole(jobs.order({"group": group.pk}, "admin"))
    assert sum(sizes) == 2 * HANDSETS and max(sizes) == BATCH


@pytest.mark.parametrize(
    ("step", "call"), [("_write_results", 1), ("_write_results", 3), ("_write_turns", 2)]
)
def test_an_order_whose_writer_died_is_finished_by_the_beat(
    group: Any, monkeypatch: pytest.MonkeyPatch, step: str, call: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(writing, step, dies_at(call, getattr(writing, step)))
        with pytest.raises(Died):
            jobs.order({"group": group.pk}, "admin")
    job = Job.objects.get()
    assert jobs.overview(jobs.listing().get())["state"] == "writing"
    jobs.advance_all()
    assert asked() == 0, "its writer may be alive yet"
    jobs.advance_all(timezone.now() + LATER)
    is_whole(job)
    jobs.advance_all(timezone.now() + LATER)
    is_whole(job)


def test_a_writer_that_comes_back_after_another_wrote_on_changes_nothing(
    group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = writing._write_results
    sleeps = iter([False, True, False, False, False, False, False])

    def slept(*given: Any) -> bool:
        if next(sleeps):
            jobs.advance_all(timezone.now() + LATER)
        return then(*given)

    monkeypatch.setattr(writing, "_write_results", slept)
    is_whole(jobs.order({"group": group.pk}, "admin"))


def test_an_order_cancelled_while_it_is_written_asks_nobody(
    group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = writing._write_results

    def cancelled_after_the_first(pk: int, *given: Any) -> bool:
        wrote = then(pk, *given)
        job = Job.objects.get(pk=pk)
        if wrote and job.cancelled_at is None:
            jobs.cancel(job, "vera")
        return wrote

    monkeypatch.setattr(writing, "_write_results", cancelled_after_the_first)
    job = jobs.order({"group": group.pk}, "admin")
    assert jobs.overview(jobs.listing().get())["state"] == "cancelled"
    assert job.finished_at is not None and asked() == 0
    assert set(job.results.values_list("result", flat=True)) == {Result.CANCELLED}
    assert job.results.count() == BATCH


def test_a_cancelled_job_takes_back_the_wave_under_way_first_then_the_rest(group: Any) -> None:
    job = jobs.order({"group": group.pk}, "admin", jobs.Terms(100, 35))
    canary = job.results.get(wave=0)
    Registration.objects.filter(pk=canary.registration_id).update(wish="", state=State.PRIMARY)
    job.results.filter(pk=canary.pk).update(result=Result.MOVED)
    jobs.advance_all()
    assert asked() == 35
    job = jobs.cancel(job, "vera")
    assert asked() == 0 and job.finished_at is not None
    assert Counter(job.results.values_list("result", flat=True)) == {
        Result.MOVED: 1,
        Result.CANCELLED: HANDSETS - 1,
    }


def test_a_drain_whose_writer_died_empties_its_server_all_the_same(
    group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    window = jobs.Window(now, now + timedelta(hours=1))
    with monkeypatch.context() as patch:
        patch.setattr(writing, "_write_results", dies_at(2, writing._write_results))
        with pytest.raises(Died):
            jobs.drain(group.servers.get(priority=2), window, "admin")
    drain = Drain.objects.get()
    assert drain.away is not None and drain.finished_at is None
    jobs.advance_all(timezone.now() + LATER)
    is_whole(drain.away)
    assert drain.away.kind == Job.Kind.DRAIN and Job.objects.count() == 1


def test_the_page_and_the_api_say_that_it_is_being_written(
    group: Any, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(writing, "_write_results", dies_at(2, writing._write_results))
        with pytest.raises(Died):
            jobs.order({"group": group.pk}, "admin")
    client.force_login(make_user("nurse", Role.VIEWER))
    pk = Job.objects.get().pk
    page = client.get(reverse("job", args=[pk])).content.decode()
    assert "Being written" in page
    assert f"{BATCH} handsets written down so far. Nobody is asked before all are." in page
    assert "Being written" in client.get(reverse("jobs")).content.decode()
    assert client.get(f"/api/v1/failbacks/{pk}/").json()["state"] == "writing"


def test_a_job_that_stops_between_two_looks_of_the_beat_leaves_nobody_behind(
    group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.order({"group": group.pk}, "admin")
    canary = job.results.get(wave=0)
    Registration.objects.filter(pk=canary.registration_id).update(wish="", state=State.PRIMARY)
    job.results.filter(pk=canary.pk).update(result=Result.MOVED)
    then, has_stopped = steps._advance, []

    def stopped_just_before(*given: Any) -> bool:
        if not has_stopped:
            has_stopped.append(Job.objects.filter(pk=job.pk).update(cancelled_at=timezone.now()))
        return then(*given)

    monkeypatch.setattr(steps, "_advance", stopped_just_before)
    jobs.advance_all()
    job.refresh_from_db()
    assert job.finished_at is not None and asked() == 0
    assert not job.results.filter(result=Result.PENDING).exists()
