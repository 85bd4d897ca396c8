"""Orders and exports on both databases, with workers writing at the same time."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.http import QueryDict

from registrations import exports, jobs, store
from registrations.models import Job, JobResult, Registration, State, Transition
from tests.support.databases import database, migrated_postgres  # noqa: F401 - fixtures
from tests.support.rows import make_group, make_registration, make_transition

Result = JobResult.Result


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[BaseException]]:
    """Run `work` on a connection of its own; its failure is put into the list."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as failure:
            failures.append(failure)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, failures


def test_an_order_and_its_end_are_the_same_on_both_databases(database: str) -> None:  # noqa: F811
    group = make_group()
    away, home = make_registration(group), make_registration(group, State.PRIMARY)
    off = make_registration(group, State.DISABLED, supervision="off")
    first = jobs.order({"group": group.pk}, "olga")
    second = jobs.order({"all": True}, "omar")
    results = dict(first.results.values_list("registration_id", "result"))
    assert results == {
        away.pk: Result.PENDING,
        home.pk: Result.ALREADY_THERE,
        off.pk: Result.LEFT_OUT,
    }
    reason = second.results.get(registration=away).reason
    assert reason == f"Job {first.pk} is moving it already."
    assert jobs.progress(second)["state"] == "done"
    jobs.cancel(first, "olga")
    assert jobs.progress(first)["state"] == "cancelled"
    assert Registration.objects.get(pk=away.pk).wish == ""


def test_two_orders_at_once_ask_each_handset_once(database: str) -> None:  # noqa: F811
    group = make_group()
    rows = [make_registration(group) for _ in range(50)]
    started = threading.Barrier(4)

    def order() -> None:
        started.wait(10)
        jobs.order({"group": group.pk}, "olga")

    work = [in_thread(order) for _ in range(4)]
    for thread, _ in work:
        thread.join(30)
    assert [failures for _, failures in work] == [[], [], [], []]
    pending = JobResult.objects.filter(result=Result.PENDING)
    assert pending.count() == len(rows)
    assert pending.values("job").distinct().count() == 1
    assert Job.objects.count() == 4


def test_an_order_in_the_midst_of_the_workers_writing_ends_well(database: str) -> None:  # noqa: F811
    group = make_group(max_registrations_per_second=0)
    for _ in range(400):
        make_registration(group, due_at=datetime.now(UTC))
    stop = threading.Event()

    def claim_and_give_back() -> None:
        """What workers do all the time: batches of rows, in an order of their own."""
        while not stop.is_set():
            claimed = store.claim_due(None, 200, 30.0)
            leases: dict[str, list[int]] = {}
            for row in reversed(claimed):
                leases.setdefault(row.token, []).append(row.registration_id)
            store.release(leases, time.time())

    workers = [in_thread(claim_and_give_back) for _ in range(2)]
    try:
        for _ in range(30):
            job = jobs.order({"all": True}, "olga")
            # Who is left out of this job because the last one's agent is at it is not asked.
            with suppress(jobs.JobIsOver):
                jobs.cancel(job, "olga")
    finally:
        stop.set()
        for thread, _ in workers:
            thread.join(30)
    assert [failures for _, failures in workers] == [[], []]
    Registration.objects.update(lease_token=None)
    jobs.advance_all()
    assert not JobResult.objects.filter(result=Result.PENDING).exists()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_is_being_written_while_an_export_begins_is_wholly_in_or_wholly_out(
    database: str,  # noqa: F811
) -> None:
    """Ids are handed out before commit: a lower one may become visible after a higher one.

    SQLite has one writer at a time.
    """
    make_transition()
    written, let_go = threading.Event(), threading.Event()

    def slow_flush() -> None:
        with transaction.atomic():
            make_transition()
            written.set()
            let_go.wait(60)

    flush, failures = in_thread(slow_flush)
    assert written.wait(60)
    made: list[exports.Export] = []
    export, failed = in_thread(lambda: made.append(exports.prepare("transitions", QueryDict(""))))
    # It waits for the flush rather than count without it.
    deadline = time.monotonic() + 30
    while not _somebody_waits_for_a_lock() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert made == []
    let_go.set()
    flush.join(60)
    export.join(60)
    assert failures == failed == []
    make_transition()
    assert made[0].rows == 2
    assert len(b"".join(made[0]).splitlines()) == 3
    assert Transition.objects.count() == 3


def _somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
