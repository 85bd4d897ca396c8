"""Bringing handsets home: who is asked, who is left out, and how it ends."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fleet.models import Line, Server
from registrations import jobs, queries, tasks
from registrations.models import Job, JobResult, Registration, State
from tests.support.rows import make_group, make_registration, make_site, make_user

pytestmark = pytest.mark.django_db

Result = JobResult.Result


def results(job: Job) -> dict[int | None, tuple[str, str]]:
    rows = job.results.values_list("registration_id", "result", "reason")
    return {pk: (result, reason) for pk, result, reason in rows}


def answer(registration: Registration, result: str) -> None:
    """What the store writes when an agent has answered a wish; then the beat."""
    Registration.objects.filter(pk=registration.pk).update(wish="", lease_token=None)
    JobResult.objects.filter(registration=registration, result=Result.PENDING).update(
        result=result, seconds=0.25, finished_at=timezone.now()
    )
    jobs.advance_all()


def test_a_registration_on_the_secondary_is_wished_home_and_due() -> None:
    registration = make_registration(make_group())
    job = jobs.order({"registrations": [registration.pk]}, make_user("olga"))
    registration.refresh_from_db()
    assert registration.wish == "failback"
    assert registration.wish_by == "olga"
    assert registration.wish_version == 1
    assert registration.due_at <= timezone.now()
    assert results(job) == {registration.pk: (Result.PENDING, "")}


def test_scopes_reach_exactly_their_registrations() -> None:
    ward, lab = make_group("ward"), make_group("lab")
    north, south = make_site("north"), make_site("south")
    rows = {
        (group.name, site.name): make_registration(group, site=site)
        for group in (ward, lab)
        for site in (north, south)
    }
    one = rows["ward", "north"]
    scopes: list[tuple[dict[str, Any], set[int]]] = [
        ({"registrations": [one.pk]}, {one.pk}),
        ({"group": ward.pk}, {r.pk for (group, _), r in rows.items() if group == "ward"}),
        ({"site": south.pk}, {r.pk for (_, site), r in rows.items() if site == "south"}),
        ({"all": True}, {r.pk for r in rows.values()}),
    ]
    for scope, expected in scopes:
        job = jobs.order(scope, "olga")
        assert set(results(job)) == expected
        assert job.scope == scope


@pytest.mark.parametrize(
    ("scope", "field"),
    [
        ({}, "scope"),
        ({"group": 1, "site": 1}, "scope"),
        ({"everything": True}, "scope"),
        ({"registrations": []}, "registrations"),
        ({"registrations": ["1"]}, "registrations"),
        ({"registrations": [True]}, "registrations"),
        ({"registrations": 7}, "registrations"),
        ({"registrations": [987654]}, "registrations"),
        ({"registrations": list(range(10_001))}, "registrations"),
        ({"group": 987654}, "group"),
        ({"group": "ward"}, "group"),
        ({"group": None}, "group"),
        ({"site": 987654}, "site"),
        ({"all": False}, "all"),
        ({"all": "yes"}, "all"),
    ],
)
def test_a_scope_that_names_nothing_is_refused_by_field(scope: dict[str, Any], field: str) -> None:
    with pytest.raises(jobs.ScopeError) as wrong:
        jobs.order(scope, "olga")
    assert wrong.value.field == field
    assert not Job.objects.exists()


def test_who_is_on_primary_is_already_there_at_once() -> None:
    registration = make_registration(make_group(), State.PRIMARY)
    job = jobs.order({"all": True}, "olga")
    registration.refresh_from_db()
    assert results(job) == {registration.pk: (Result.ALREADY_THERE, "")}
    assert registration.wish == ""
    progress = jobs.progress(job)
    assert progress["state"] == "done"
    assert progress["results"][0]["finished_at"] is not None


def test_in_a_fallback_group_home_is_entry_1() -> None:
    group = make_group(mode="fallback")
    home = make_registration(group, State.PRIMARY)
    away = make_registration(group, State.FALLBACK)
    job = jobs.order({"group": group.pk}, "olga")
    assert results(job)[home.pk][0] == Result.ALREADY_THERE
    assert results(job)[away.pk][0] == Result.PENDING


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"supervision": Line.Supervision.OFF, "state": State.DISABLED}, "supervision is off"),
        ({"supervision": Line.Supervision.OBSERVE, "state": State.DISABLED}, "only observed"),
        ({"state": State.REJECTED}, "Rejected"),
        ({"state": State.HELD}, "Held back"),
    ],
)
def test_who_cannot_be_asked_is_left_out_with_a_reason(fields: dict[str, Any], word: str) -> None:
    registration = make_registration(make_group(), **fields)
    job = jobs.order({"all": True}, "olga")
    result, reason = results(job)[registration.pk]
    assert result == Result.LEFT_OUT
    assert word in reason
    registration.refresh_from_db()
    assert registration.wish == ""


def test_without_a_primary_that_registers_a_handset_is_left_out() -> None:
    group = make_group()
    registration = make_registration(group)
    Server.objects.filter(group=group, priority=1).update(register=False)
    result, reason = results(jobs.order({"all": True}, "olga"))[registration.pk]
    assert result == Result.LEFT_OUT
    assert "no primary" in reason


def test_a_primary_nobody_has_heard_of_for_long_is_asked_again() -> None:
    late = timezone.now() - timedelta(minutes=1)
    registration = make_registration(make_group(), State.PRIMARY, due_at=late)
    job = jobs.order({"all": True}, "olga")
    assert results(job) == {registration.pk: (Result.PENDING, "")}


def test_a_second_job_leaves_out_who_is_already_asked_and_names_the_first() -> None:
    group = make_group()
    asked, other = make_registration(group), make_registration(group)
    first = jobs.order({"registrations": [asked.pk]}, "olga")
    second = jobs.order({"all": True}, "omar")
    assert results(second) == {
        asked.pk: (Result.LEFT_OUT, f"Job {first.pk} is moving it already."),
        other.pk: (Result.PENDING, ""),
    }
    asked.refresh_from_db()
    assert (asked.wish_by, asked.wish_version) == ("olga", 1)


def test_who_has_answered_can_be_asked_again() -> None:
    registration = make_registration(make_group())
    jobs.order({"all": True}, "olga")
    answer(registration, Result.REFUSED)
    assert results(jobs.order({"all": True}, "olga")) == {registration.pk: (Result.PENDING, "")}


def test_a_wave_is_spread_by_each_groups_cap() -> None:
    slow = make_group("slow", max_registrations_per_second=10)
    quick = make_group("quick", max_registrations_per_second=0)
    slow_rows = [make_registration(slow) for _ in range(12)]
    quick_rows = [make_registration(quick) for _ in range(12)]
    jobs.order({"all": True}, "olga", jobs.Terms(wave_size=11))
    answer(slow_rows[0], Result.MOVED)
    answer(quick_rows[0], Result.MOVED)
    due = dict(Registration.objects.values_list("pk", "due_at"))
    slow_due = [due[r.pk] for r in slow_rows[1:]]
    quick_due = [due[r.pk] for r in quick_rows[1:]]
    assert (max(slow_due) - min(slow_due)).total_seconds() == pytest.approx(1.0, abs=0.01)
    assert max(quick_due) == min(quick_due)


def test_an_order_never_postpones_a_renewal() -> None:
    group = make_group(max_registrations_per_second=1)
    soon = timezone.now() + timedelta(seconds=2)
    rows = [make_registration(group, due_at=soon) for _ in range(10)]
    jobs.order({"all": True}, "olga")
    assert all(r.due_at <= soon for r in Registration.objects.filter(pk__in=[r.pk for r in rows]))


def test_an_agent_at_work_keeps_its_lease() -> None:
    lease_end = timezone.now() + timedelta(seconds=20)
    registration = make_registration(make_group(), lease_token=uuid.uuid4(), due_at=lease_end)
    jobs.order({"all": True}, "olga")
    registration.refresh_from_db()
    assert registration.due_at == lease_end
    assert registration.wish == "failback"
    assert registration.wish_version > 0


def test_an_order_costs_the_same_queries_for_few_and_for_many() -> None:
    spent = []
    for name, count in (("few", 3), ("many", 30)):
        group = make_group(name)
        for _ in range(count):
            make_registration(group)
        with CaptureQueriesContext(connection) as asked:
            jobs.order({"group": group.pk}, "olga")
        spent.append(len(asked))
    assert spent[0] == spent[1] <= 42


def test_progress_tells_of_every_handset_what_became_of_it() -> None:
    group = make_group()
    moved, refused, waiting = (make_registration(group) for _ in range(3))
    off = make_registration(group, State.DISABLED, supervision=Line.Supervision.OFF)
    job = jobs.order({"group": group.pk}, "olga", jobs.Terms(abort_above_percent=100))
    answer(moved, Result.MOVED)
    answer(refused, Result.REFUSED)
    progress = jobs.progress(job)
    assert progress["id"] == job.pk
    assert progress["state"] == "running"
    assert progress["scope"] == {"group": group.pk}
    assert progress["asked_by"] == "olga"
    assert (progress["total"], progress["done"], progress["failed"]) == (4, 3, 1)
    by_registration = {r["registration"]: r for r in progress["results"]}
    assert by_registration[moved.pk]["result"] == "moved"
    assert by_registration[moved.pk]["seconds"] == 0.25
    assert by_registration[moved.pk]["mac"] == moved.line.handset.mac
    assert by_registration[refused.pk]["result"] == "refused"
    assert by_registration[waiting.pk]["result"] == "pending"
    assert by_registration[off.pk]["result"] == "left_out"
    answer(waiting, Result.FAILED)
    progress = jobs.progress(job)
    assert (progress["state"], progress["done"], progress["failed"]) == ("done", 4, 2)
    assert progress["finished_at"] is not None


def test_cancelling_takes_back_what_nobody_has_begun() -> None:
    group = make_group()
    moved, asked = make_registration(group), make_registration(group)
    later = make_registration(group)
    job = jobs.order({"all": True}, "olga", jobs.Terms(wave_size=1))
    answer(moved, Result.MOVED)
    jobs.cancel(job, make_user("omar"))
    asked.refresh_from_db()
    assert asked.wish == ""
    assert asked.wish_version == 2
    assert results(job)[moved.pk][0] == Result.MOVED
    for row in (asked, later):
        assert results(job)[row.pk] == (Result.CANCELLED, "Cancelled before its turn.")
    progress = jobs.progress(job)
    assert progress["state"] == "cancelled"
    assert progress["cancelled_by"] == "omar"


def test_cancelling_waits_for_the_agent_that_is_at_it() -> None:
    registration = make_registration(make_group(), lease_token=uuid.uuid4())
    job = jobs.cancel(jobs.order({"all": True}, "olga"), "omar")
    assert results(job)[registration.pk][0] == Result.PENDING
    assert jobs.progress(job)["state"] == "running"
    Registration.objects.filter(pk=registration.pk).update(lease_token=None)
    jobs.advance_all()
    assert results(job)[registration.pk][0] == Result.CANCELLED
    assert jobs.progress(job)["state"] == "cancelled"


def test_who_came_home_although_cancelled_counts_as_moved() -> None:
    registration = make_registration(make_group(), lease_token=uuid.uuid4())
    job = jobs.cancel(jobs.order({"all": True}, "olga"), "omar")
    Registration.objects.filter(pk=registration.pk).update(
        lease_token=None, state=State.PRIMARY, since=timezone.now() + timedelta(seconds=1)
    )
    jobs.advance_all()
    assert results(job)[registration.pk] == (Result.MOVED, "It went there meanwhile.")


def test_a_job_that_is_over_cannot_be_cancelled() -> None:
    registration = make_registration(make_group())
    job = jobs.order({"all": True}, "olga")
    answer(registration, Result.MOVED)
    with pytest.raises(jobs.JobIsOver, match=rf"Job {job.pk} is done"):
        jobs.cancel(job, "omar")
    assert jobs.progress(job)["state"] == "done"


def test_cancelling_one_job_leaves_the_others_wishes_alone() -> None:
    group = make_group()
    first_row, _ = make_registration(group), make_registration(group)
    first = jobs.order({"registrations": [first_row.pk]}, "olga")
    second = jobs.order({"all": True}, "omar")
    jobs.cancel(second, "omar")
    first_row.refresh_from_db()
    assert first_row.wish == "failback"
    assert results(first)[first_row.pk][0] == Result.PENDING


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"wish": "resume"}, "changed"),
        ({"wish": ""}, "changed"),
    ],
)
def test_a_wish_that_was_overwritten_does_not_wait_for_ever(
    change: dict[str, Any], word: str
) -> None:
    registration = make_registration(make_group())
    job = jobs.order({"all": True}, "olga")
    Registration.objects.filter(pk=registration.pk).update(**change)
    jobs.advance_all()
    result, reason = results(job)[registration.pk]
    assert result == Result.LEFT_OUT
    assert word in reason
    assert jobs.progress(job)["state"] == "done"


def test_a_line_switched_off_does_not_wait_for_ever() -> None:
    registration = make_registration(make_group())
    job = jobs.order({"all": True}, "olga")
    Line.objects.filter(pk=registration.line_id).update(supervision=Line.Supervision.OFF)
    jobs.advance_all()
    result, reason = results(job)[registration.pk]
    assert (result, reason) == (Result.LEFT_OUT, "Its supervision was changed meanwhile.")


def test_a_deleted_handset_does_not_wait_for_ever_and_stays_in_the_job() -> None:
    registration = make_registration(make_group())
    mac = registration.line.handset.mac
    job = jobs.order({"all": True}, "olga")
    registration.line.handset.delete()
    jobs.advance_all()
    assert results(job) == {None: (Result.LEFT_OUT, "It was deleted meanwhile.")}
    assert jobs.progress(job)["results"][0]["mac"] == mac


def test_settling_leaves_alone_who_still_waits() -> None:
    registration = make_registration(make_group())
    job = jobs.order({"all": True}, "olga")
    jobs.advance_all()
    assert results(job)[registration.pk][0] == Result.PENDING


def test_scopes_have_words() -> None:
    group, site = make_group("Ward 4"), make_site("north")
    scopes = [
        {"group": group.pk},
        {"site": site.pk},
        {"registrations": [1]},
        {"registrations": [1, 2]},
        {"all": True},
        {"group": 987654},
    ]
    assert jobs.words(scopes) == [
        "Group Ward 4",
        "Site north",
        "1 handset",
        "2 handsets",
        "All handsets",
        "Group that was deleted",
    ]


def test_jobs_and_their_sums_come_in_one_query(django_assert_num_queries: Any) -> None:
    group = make_group()
    for _ in range(5):
        make_registration(group)
    for _ in range(3):
        jobs.order({"all": True}, "olga")
    with django_assert_num_queries(1):
        shown = [jobs.overview(job) for job in jobs.listing()]
    assert [job["total"] for job in shown] == [5, 5, 5]
    assert [job["state"] for job in shown] == ["done", "done", "running"]


def test_beat_ends_what_nobody_will_answer() -> None:
    registration = make_registration(make_group())
    job = jobs.order({"all": True}, "olga")
    registration.line.handset.delete()
    due = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks.tick.name in due
    tasks.tick()
    assert jobs.progress(job)["state"] == "done"


def test_the_rules_of_an_order_can_be_looked_at_before() -> None:
    group = make_group()
    away, home = make_registration(group), make_registration(group, State.PRIMARY)
    held = make_registration(group, State.HELD)
    rows = jobs.judged(queries.registrations(timezone.now()))
    assert {r.pk: r.verdict for r in rows} == {
        away.pk: Result.PENDING,
        home.pk: Result.ALREADY_THERE,
        held.pk: Result.LEFT_OUT,
    }
