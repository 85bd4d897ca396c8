"""Jobs on both databases: canary, waves, what stops them, rollback; told by rows alone."""

import threading
import uuid
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from fleet.models import Handset, Line, ServerGroup
from registrations import jobs, queries
from registrations.models import (
    Job,
    JobResult,
    Registration,
    ServerAcceptance,
    SiteNetwork,
    State,
)
from tests.support.databases import database, migrated_postgres  # noqa: F401 - fixtures
from tests.support.rows import make_group, make_registration, make_site

pytestmark = pytest.mark.usefixtures("database")

Result = JobResult.Result


def away(n: int, group: ServerGroup) -> list[Registration]:
    return [make_registration(group) for _ in range(n)]


def asked() -> set[int]:
    """Who is wished to move now."""
    return set(Registration.objects.exclude(wish="").values_list("pk", flat=True))


def answer(ids: Sequence[int], result: str = Result.MOVED) -> None:
    """What the store writes when agents have answered; then the beat."""
    rows = Registration.objects.filter(pk__in=ids)
    if result == Result.MOVED:
        for row in rows:
            wanted = 1 if row.wish == "failback" else 2
            state = State.PRIMARY if wanted == 1 else State.SECONDARY
            server = row.group.servers.get(priority=wanted)
            Registration.objects.filter(pk=row.pk).update(
                state=state, server=server, since=timezone.now()
            )
    rows.update(wish="", lease_token=None)
    JobResult.objects.filter(registration__in=ids, result=Result.PENDING).update(
        result=result, seconds=0.1, finished_at=timezone.now()
    )
    jobs.advance_all()


def sums(job: Job) -> dict[str, int]:
    found = jobs.progress(job)
    return {name: found[name] for name in ("total", "done", "failed", "moved")}


def state(job: Job) -> str:
    return str(jobs.progress(job)["state"])


def test_one_handset_of_each_group_goes_first_then_the_waves() -> None:
    ward, lab = make_group("ward"), make_group("lab")
    rows = {"ward": away(6, ward), "lab": away(2, lab)}
    job = jobs.order({"all": True}, "olga", jobs.Terms(wave_size=3))
    canaries = {rows["ward"][0].pk, rows["lab"][0].pk}
    assert asked() == canaries
    answer([rows["ward"][0].pk])
    assert asked() == {rows["lab"][0].pk}, "the wave waits for every canary"
    answer([rows["lab"][0].pk])
    first = {row.pk for row in rows["ward"][1:4]} | {rows["lab"][1].pk}
    assert asked() == first
    answer(sorted(first))
    assert asked() == {row.pk for row in rows["ward"][4:]}
    answer([row.pk for row in rows["ward"][4:]])
    assert state(job) == "done"
    assert sums(job) == {"total": 8, "done": 8, "failed": 0, "moved": 8}


def test_the_canary_is_one_the_primary_has_accepted_before() -> None:
    group = make_group()
    rows = away(4, group)
    home = group.servers.get(priority=1)
    refused_since = timezone.now()
    ServerAcceptance.objects.create(server=home, registration=rows[1], refused_at=refused_since)
    ServerAcceptance.objects.create(server=home, registration=rows[2])
    job = jobs.order({"all": True}, "olga", jobs.Terms(wave_size=2))
    assert asked() == {rows[2].pk}
    turns = dict(job.results.values_list("registration_id", "wave"))
    others = {rows[0].pk: 1, rows[1].pk: 1, rows[3].pk: 2}
    assert turns == {rows[2].pk: 0, **others}, "the waves are a fair sample"


@pytest.mark.parametrize("result", [Result.REFUSED, Result.FAILED])
def test_a_failed_canary_stops_the_job_before_anybody_else_moves(result: str) -> None:
    rows = away(5, make_group())
    job = jobs.order({"all": True}, "olga", jobs.Terms(abort_above_percent=99))
    answer([rows[0].pk], result)
    assert asked() == set()
    assert state(job) == "aborted"
    assert "canary of group ward" in jobs.progress(job)["abort_reason"]
    assert sums(job) == {"total": 5, "done": 5, "failed": 1, "moved": 0}
    left = job.results.filter(result=Result.CANCELLED)
    assert left.count() == 4
    assert set(left.values_list("reason", flat=True)) == {
        "Not asked: the job stopped before its turn."
    }


def test_a_wave_above_the_threshold_takes_back_whoever_is_not_at_it_yet() -> None:
    rows = away(11, make_group())
    job = jobs.order({"all": True}, "olga", jobs.Terms(abort_above_percent=20, wave_size=10))
    answer([rows[0].pk])
    answer([row.pk for row in rows[1:3]], Result.REFUSED)
    assert state(job) == "running", "two of ten are not more than 20 %"
    Registration.objects.filter(pk=rows[4].pk).update(lease_token=uuid.uuid4())
    answer([rows[3].pk], Result.REFUSED)
    assert state(job) == "running", "one agent is still at it"
    assert asked() == set()
    answer([rows[4].pk])
    assert state(job) == "aborted"
    assert sums(job) == {"total": 11, "done": 11, "failed": 3, "moved": 2}


def test_a_primary_that_dies_during_the_job_stops_it_and_who_is_home_stays_there() -> None:
    rows = away(12, make_group())
    job = jobs.order({"all": True}, "olga", jobs.Terms(wave_size=5))
    answer([rows[0].pk])
    answer([row.pk for row in rows[1:6]])
    assert asked() == {row.pk for row in rows[6:11]}
    answer([rows[6].pk], Result.FAILED)
    assert asked() == set(), "whoever had not been asked yet is not sent to a dead server"
    assert state(job) == "aborted"
    assert sums(job) == {"total": 12, "done": 12, "failed": 1, "moved": 6}
    home = Registration.objects.filter(state=State.PRIMARY).values_list("pk", flat=True)
    assert set(home) == {row.pk for row in rows[:6]}


def test_at_100_percent_nothing_stops_it() -> None:
    rows = away(5, make_group())
    job = jobs.order({"all": True}, "olga", jobs.Terms(abort_above_percent=100))
    answer([rows[0].pk], Result.REFUSED)
    answer([row.pk for row in rows[1:]], Result.FAILED)
    assert state(job) == "done"
    assert sums(job)["failed"] == 5


def test_a_paused_job_ends_its_wave_and_begins_no_other() -> None:
    rows = away(5, make_group())
    job = jobs.order({"all": True}, "olga", jobs.Terms(wave_size=2))
    answer([rows[0].pk])
    jobs.pause(job, "omar")
    answer([row.pk for row in rows[1:3]])
    assert asked() == set()
    assert state(job) == "paused"
    # Nothing of it lives in a process: a worker that starts anew finds the same rows.
    jobs.advance_all(timezone.now() + timedelta(hours=1))
    assert asked() == set()
    jobs.resume(job)
    assert asked() == {row.pk for row in rows[3:]}
    answer([row.pk for row in rows[3:]])
    assert state(job) == "done"
    with pytest.raises(jobs.JobIsOver):
        jobs.pause(job, "omar")


def test_a_job_of_nobody_is_done_at_once() -> None:
    make_registration(make_group(), State.PRIMARY)
    job = jobs.order({"all": True}, "olga")
    assert state(job) == "done"
    assert sums(job) == {"total": 1, "done": 1, "failed": 0, "moved": 0}
    empty = jobs.order({"site": Registration.objects.get().site_id}, "olga")
    assert state(empty) == "done"


def test_who_changed_before_his_turn_is_judged_anew() -> None:
    group = make_group()
    canary, home, deleted, off, held, edited = away(6, group)
    job = jobs.order({"all": True}, "olga")
    Registration.objects.filter(pk=home.pk).update(state=State.PRIMARY)
    Registration.objects.filter(pk=held.pk).update(state=State.HELD)
    Handset.objects.filter(lines=deleted.line_id).delete()
    Line.objects.filter(pk=off.line_id).update(supervision=Line.Supervision.OFF)
    Line.objects.filter(pk=edited.line_id).update(extension="4999")
    answer([canary.pk])
    assert asked() == {edited.pk}
    reasons = {r.registration_id: (r.result, r.reason) for r in job.results.all()}
    assert reasons[home.pk] == (
        Result.ALREADY_THERE,
        "It went there by itself before its turn.",
    )
    assert reasons[None] == (Result.LEFT_OUT, "It was deleted meanwhile.")
    assert reasons[off.pk] == (Result.LEFT_OUT, "Its supervision is off.")
    assert reasons[held.pk] == (Result.LEFT_OUT, "Held back: somebody else is bound.")
    answer([edited.pk])
    assert state(job) == "done"


def test_a_wave_in_which_nobody_is_left_to_ask_is_passed_over() -> None:
    rows = away(3, make_group())
    job = jobs.order({"all": True}, "olga", jobs.Terms(wave_size=1))
    Registration.objects.filter(pk=rows[1].pk).update(state=State.PRIMARY)
    answer([rows[0].pk])
    assert asked() == {rows[2].pk}
    answer([rows[2].pk])
    assert state(job) == "done"


def test_the_second_of_two_jobs_leaves_out_whom_the_first_has_not_even_asked_yet() -> None:
    rows = away(3, make_group())
    first = jobs.order({"all": True}, "olga", jobs.Terms(wave_size=1))
    second = jobs.order({"registrations": [rows[2].pk]}, "omar")
    assert second.results.get().reason == f"Job {first.pk} is moving it already."
    jobs.cancel(first, "olga")
    third = jobs.order({"registrations": [rows[2].pk]}, "omar")
    assert asked() == {rows[2].pk}
    assert state(third) == "running"


def test_many_steps_at_once_do_what_one_does(database: str) -> None:  # noqa: F811
    rows = away(40, make_group(max_registrations_per_second=0))
    job = jobs.order({"all": True}, "olga", jobs.Terms(wave_size=10))
    Registration.objects.filter(pk=rows[0].pk).update(wish="", lease_token=None)
    job.results.filter(registration=rows[0]).update(result=Result.MOVED)
    started = threading.Barrier(4)
    failures: list[BaseException] = []

    def step() -> None:
        try:
            started.wait(10)
            for _ in range(5):
                jobs.advance_all()
        except BaseException as failure:
            failures.append(failure)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert asked() == {row.pk for row in rows[1:11]}
    versions = Registration.objects.filter(pk__in=asked()).values_list("wish_version", flat=True)
    assert set(versions) == {1}, "a wave was begun twice"


# ---- Rollback ---------------------------------------------------------------------------------


def test_a_rollback_registers_whom_it_moved_elsewhere_again_and_keeps_them_there() -> None:
    rows = away(4, make_group())
    job = jobs.order({"all": True}, "olga", jobs.Terms(abort_above_percent=100))
    answer([rows[0].pk])
    answer([row.pk for row in rows[1:3]])
    answer([rows[3].pk], Result.REFUSED)
    # One of them has left by itself since.
    Registration.objects.filter(pk=rows[2].pk).update(state=State.UNREGISTERED, server=None)
    back = jobs.roll_back(job, "omar")
    assert back.kind == Job.Kind.ROLLBACK
    assert Registration.objects.get(pk=rows[0].pk).wish == "rollback"
    answer([rows[0].pk])
    answer([rows[1].pk])
    assert state(back) == "done"
    found = dict(back.results.values_list("registration_id", "result"))
    assert found == {
        rows[0].pk: Result.MOVED,
        rows[1].pk: Result.MOVED,
        rows[2].pk: Result.ALREADY_THERE,
    }
    assert jobs.progress(job)["rolled_back_by"] == back.pk
    with pytest.raises(jobs.OrderHeld, match=f"rolled back by job {back.pk}"):
        jobs.order({"all": True}, "olga")
    again = jobs.order({"all": True}, "olga", despite_hold=True)
    assert state(again) == "running"


def test_what_cannot_be_rolled_back_says_why() -> None:
    rows = away(2, make_group())
    job = jobs.order({"all": True}, "olga")
    with pytest.raises(jobs.JobIsOver, match="Cancel it first"):
        jobs.roll_back(job, "omar")
    answer([rows[0].pk], Result.REFUSED)
    with pytest.raises(jobs.JobIsOver, match="It moved nobody"):
        jobs.roll_back(job, "omar")
    answer([jobs.order({"all": True}, "olga").results.first().registration_id])
    done = Job.objects.latest("pk")
    answer([rows[1].pk])
    jobs.roll_back(done, "omar")
    with pytest.raises(jobs.JobIsOver, match="rolled back already"):
        jobs.roll_back(done, "omar")


@pytest.mark.parametrize(
    ("scope", "field"),
    [
        ({"filter": ""}, "filter"),
        ({"filter": 7}, "filter"),
        ({"filter": "grp=5"}, "filter"),
        ({"filter": "group=987654"}, "filter"),
        ({"server": 1}, "scope"),
        ({"moved_by": 1}, "scope"),
    ],
)
def test_a_filter_that_names_nothing_moves_nobody(scope: dict[str, object], field: str) -> None:
    away(2, make_group())
    with pytest.raises(jobs.ScopeError) as wrong:
        jobs.order(scope, "olga")
    assert wrong.value.field == field
    assert not Job.objects.exists()


def test_a_filter_is_resolved_when_the_order_is_given() -> None:
    group = make_group()
    rows = away(2, group)
    make_registration(group, State.PRIMARY)
    job = jobs.order({"filter": f"group={group.pk}&state=secondary"}, "olga")
    away(1, group)
    assert set(job.results.values_list("registration_id", flat=True)) == {row.pk for row in rows}


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"abort_above_percent": 101}, "abort_above_percent"),
        ({"abort_above_percent": -1}, "abort_above_percent"),
        ({"abort_above_percent": "5"}, "abort_above_percent"),
        ({"abort_above_percent": True}, "abort_above_percent"),
        ({"wave_size": 0}, "wave_size"),
        ({"wave_size": 501}, "wave_size"),
    ],
)
def test_terms_that_make_no_sense_are_refused_by_field(terms: dict[str, int], field: str) -> None:
    with pytest.raises(jobs.OrderRefused) as wrong:
        jobs.order({"all": True}, "olga", jobs.Terms(**terms))
    assert wrong.value.field == field


def test_whom_no_worker_takes_up_is_told_with_the_site_and_why() -> None:
    group = make_group()
    north = make_site("north", has_own_workers=True, time_zone="UTC")
    here, there = make_registration(group), make_registration(group, site=north)
    job = jobs.order({"registrations": [here.pk, there.pk]}, "admin", jobs.Terms(wave_size=1))
    now = timezone.now()
    assert jobs.waits(job, now) == [], "it is due only now"

    late = now - timedelta(minutes=2)
    Registration.objects.filter(pk__in=[here.pk, there.pk]).update(due_at=late)
    (canary,) = jobs.waits(job, now)
    assert (canary["site_name"], canary["handsets"]) == ("main", 1), "the other is not asked yet"
    assert "no worker takes them; look whether one runs" in canary["sentence"]

    answer([here.pk])
    Registration.objects.filter(pk=there.pk).update(due_at=late)
    job.refresh_from_db()
    (waiting,) = jobs.waits(job, now)
    assert waiting["site"] == north.pk and waiting["since"] == queries.moment(late)
    # Soon after midnight the day stands before the time.
    told = (
        f"{late:%H:%M} UTC: no worker of that site takes them; start one with WORKER_SITES=north."
    )
    for sentence in (waiting["sentence"], jobs.progress(job)["waits"][0]["sentence"]):
        assert sentence.startswith("1 handset at north waits since ") and sentence.endswith(told)

    SiteNetwork.objects.create(site=north, suspected_since=late)
    assert "its own network is suspected, nothing moves" in jobs.waits(job, now)[0]["sentence"]
    assert jobs.waits(jobs.cancel(job, "admin"), now) == [], "nobody is asked any more"
