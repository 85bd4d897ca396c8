"""Drains, no-failback hours and the jobs Rollcall gives itself: what the rows say and do."""

import re
import time as clocks
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.utils import timezone

from fleet.models import Line, Server, ServerGroup
from registrations import jobs, queries, store
from registrations.models import (
    Drain,
    Job,
    JobResult,
    QuietHours,
    Registration,
    ServerHealth,
    State,
)
from registrations.shown import maintenance
from registrations.shown import why as explained
from tests.support.claims import make_due, make_lines
from tests.support.databases import database, migrated_postgres  # noqa: F401 - fixtures
from tests.support.rows import make_group, make_registration, make_site

pytestmark = pytest.mark.usefixtures("database")

Result = JobResult.Result
HOUR = timedelta(hours=1)


def primary_of(group: ServerGroup) -> Server:
    return group.servers.get(priority=1)


def home(n: int, group: ServerGroup) -> list[Registration]:
    return [make_registration(group, State.PRIMARY) for _ in range(n)]


def window(begins: timedelta = timedelta(), lasts: timedelta = HOUR) -> jobs.Window:
    begin = timezone.now() + begins
    return jobs.Window(begin, begin + lasts)


def asked() -> dict[int, str]:
    return dict(Registration.objects.exclude(wish="").values_list("pk", "wish"))


def answer(ids: Sequence[int], result: str = Result.MOVED, now: datetime | None = None) -> None:
    for row in Registration.objects.filter(pk__in=ids):
        priority, state = (1, State.PRIMARY) if row.wish == "failback" else (2, State.SECONDARY)
        if result == Result.MOVED:
            server = row.group.servers.get(priority=priority)
            Registration.objects.filter(pk=row.pk).update(state=state, server=server)
    Registration.objects.filter(pk__in=ids).update(wish="")
    JobResult.objects.filter(registration__in=ids, result=Result.PENDING).update(result=result)
    jobs.advance_all(now)


def state_of(drain: Drain) -> str:
    return str(jobs.drain_row(jobs.drains().get(pk=drain.pk))["state"])


def test_a_drain_empties_its_server_holds_it_so_and_brings_everybody_home() -> None:
    rows = home(3, make_group())
    drain = jobs.drain(primary_of(rows[0].group), window(), "olga")
    assert state_of(drain) == "emptying"
    assert asked() == {rows[0].pk: "drain"}, "a canary leaves first"
    answer([rows[0].pk])
    assert asked() == {rows[1].pk: "drain", rows[2].pk: "drain"}
    answer([rows[1].pk])
    answer([rows[2].pk], Result.REFUSED)
    assert state_of(drain) == "not_empty", "one is still on it"
    later = timezone.now() + 2 * HOUR
    jobs.advance_all(later)
    assert state_of(drain) == "returning"
    assert asked() == {rows[0].pk: "failback"}, "a canary comes home first"
    answer([rows[0].pk], now=later)
    answer([rows[1].pk], now=later)
    jobs.advance_all(later)
    assert state_of(drain) == "done"
    assert queries.holds_at(clocks.time()).drained == {}
    home_job = Job.objects.get(pk=Drain.objects.get(pk=drain.pk).home_id)
    assert home_job.results.count() == 2, "who was not moved need not come home"


def test_while_it_lasts_agents_are_told_to_stay_away_from_the_whole_machine() -> None:
    ward, lab = make_group("ward"), make_group("lab")
    site = make_site()
    make_due(make_lines(1, ward))
    drain = jobs.drain(primary_of(lab), window(), "olga")
    [claimed] = store.claim_due(None, 10, 30.0)
    assert set(claimed.news.drained) == {primary_of(ward).pk, primary_of(lab).pk}
    assert drain.ends_at.timestamp() == pytest.approx(claimed.news.drained[primary_of(ward).pk])
    assert site.pk == claimed.site_id


def test_a_planned_drain_moves_nobody_before_its_time_and_may_be_called_off() -> None:
    rows = home(2, make_group())
    server = primary_of(rows[0].group)
    drain = jobs.drain(server, window(begins=HOUR), "olga")
    assert state_of(drain) == "planned"
    assert asked() == {}
    assert queries.holds_at(clocks.time()).drained == {}
    jobs.end(drain, "omar")
    assert state_of(drain) == "called_off"
    jobs.advance_all(timezone.now() + HOUR)
    assert asked() == {}
    planned = jobs.drain(server, window(begins=HOUR), "olga")
    jobs.advance_all(timezone.now() + HOUR)
    assert state_of(planned) == "emptying"


def test_ending_a_drain_early_stops_the_moving_and_brings_home_who_has_moved() -> None:
    rows = home(4, make_group())
    drain = jobs.drain(primary_of(rows[0].group), window(), "olga", jobs.Terms(wave_size=1))
    answer([rows[0].pk])
    jobs.end(drain, "omar")
    jobs.advance_all()
    jobs.advance_all()
    assert state_of(drain) == "returning"
    assert asked() == {rows[0].pk: "failback"}
    away = Job.objects.get(kind=Job.Kind.DRAIN)
    assert (away.cancelled_by, away.results.filter(result=Result.CANCELLED).count()) == ("omar", 3)
    with pytest.raises(jobs.JobIsOver):
        jobs.end(drain, "omar")


def test_a_drain_takes_nobody_home_to_a_server_that_was_no_primary() -> None:
    group = make_group()
    rows = [make_registration(group) for _ in range(2)]
    secondary = group.servers.get(priority=2)
    drain = jobs.drain(secondary, window(), "olga")
    assert asked() == {rows[0].pk: "drain"}
    for row in rows:
        Registration.objects.filter(pk=row.pk).update(
            wish="", state=State.PRIMARY, server=primary_of(group)
        )
        JobResult.objects.filter(registration=row).update(result=Result.MOVED)
    jobs.advance_all()
    jobs.advance_all(timezone.now() + 2 * HOUR)
    assert state_of(drain) == "done"
    assert Drain.objects.get(pk=drain.pk).home is None


def test_a_failback_that_is_under_way_ends_before_its_server_is_emptied() -> None:
    group = make_group()
    rows = [make_registration(group) for _ in range(3)]
    job = jobs.order({"all": True}, "olga", jobs.Terms(wave_size=1))
    drain = jobs.drain(primary_of(group), window(), "omar")
    assert state_of(drain) == "planned", "one is still on its way there"
    reasons = set(job.results.exclude(result=Result.PENDING).values_list("reason", flat=True))
    assert reasons == {f"{primary_of(group)} is being drained."}
    answer([rows[0].pk])
    jobs.advance_all()
    assert asked() == {rows[0].pk: "drain"}


def test_a_drain_without_anywhere_to_go_leaves_everybody_where_he_is() -> None:
    rows = home(2, make_group(servers=1))
    drain = jobs.drain(primary_of(rows[0].group), window(), "olga")
    assert asked() == {}
    reason = "Its group has no other server that takes registrations now."
    away = Job.objects.get(kind=Job.Kind.DRAIN)
    assert set(away.results.values_list("result", "reason")) == {(Result.LEFT_OUT, reason)}
    assert state_of(drain) == "not_empty"


def test_only_a_server_that_holds_nobody_is_called_empty() -> None:
    rows = home(3, make_group())
    server = primary_of(rows[0].group)
    drain = jobs.drain(server, window(), "olga")
    answer([rows[0].pk], Result.REFUSED)
    shown = jobs.drain_row(jobs.drains().get(pk=drain.pk))
    assert (shown["state"], shown["left"]) == ("not_empty", 3)
    [told] = maintenance.drains("UTC")
    assert f"{server} is not empty, 3 are still on it: its job was stopped." in told["sentence"]
    for row in rows:
        Registration.objects.filter(pk=row.pk).update(state=State.UNREGISTERED, server=None)
    shown = jobs.drain_row(jobs.drains().get(pk=drain.pk))
    assert (shown["state"], shown["left"]) == ("empty", 0)
    [told] = maintenance.drains("UTC")
    assert "is kept empty until" in told["sentence"] and "nobody is on it" in told["sentence"]


def test_a_server_is_being_emptied_while_late_arrivals_are_moved() -> None:
    group = make_group()
    rows = home(1, group)
    late = make_registration(group, State.REGISTERING)
    drain = jobs.drain(primary_of(group), window(), "olga")
    answer([rows[0].pk])
    assert state_of(drain) == "empty"
    arrive(late)
    assert state_of(drain) == "not_empty"
    jobs.advance_all(timezone.now() + timedelta(seconds=11))
    assert state_of(drain) == "emptying"


def test_a_group_is_left_at_least_one_server() -> None:
    group = make_group()
    home(1, group)
    secondary = group.servers.get(priority=2)
    jobs.drain(primary_of(group), window(), "olga")
    with pytest.raises(jobs.OrderRefused, match="Every other server of ward is drained") as wrong:
        jobs.drain(secondary, window(begins=HOUR / 2), "olga")
    assert wrong.value.field == "server"
    jobs.drain(secondary, window(begins=2 * HOUR), "olga")
    third = group.servers.create(address="127.0.0.9", port=5060, priority=3)
    jobs.drain(secondary, window(lasts=HOUR / 2), "olga")
    with pytest.raises(jobs.OrderRefused, match="Every other server"):
        jobs.drain(third, window(), "olga")


@pytest.mark.parametrize(
    ("begins", "lasts", "field"),
    [(HOUR, -HOUR, "ends_at"), (-2 * HOUR, HOUR, "ends_at"), (HOUR, timedelta(), "ends_at")],
)
def test_a_window_that_makes_no_sense_is_refused(
    begins: timedelta, lasts: timedelta, field: str
) -> None:
    with pytest.raises(jobs.OrderRefused) as wrong:
        jobs.drain(primary_of(make_group()), window(begins, lasts), "olga")
    assert wrong.value.field == field


def test_two_drains_of_one_machine_do_not_overlap() -> None:
    ward, lab = make_group("ward"), make_group("lab")
    jobs.drain(primary_of(ward), window(begins=HOUR), "olga")
    with pytest.raises(jobs.OrderRefused, match="covers that time already"):
        jobs.drain(primary_of(lab), window(begins=timedelta(minutes=90)), "olga")
    jobs.drain(primary_of(lab), window(begins=3 * HOUR), "olga")


def test_a_failback_to_a_drained_server_is_asked_about() -> None:
    group = make_group()
    make_registration(group)
    drain = jobs.drain(primary_of(group), window(), "olga")
    with pytest.raises(jobs.OrderHeld, match="is being drained until"):
        jobs.order({"all": True}, "omar")
    assert state_of(drain) in ("empty", "emptying")
    assert jobs.order({"all": True}, "omar", despite_hold=True).finished_at is None


# ---- No-failback hours ------------------------------------------------------------------------


def quiet(**place: Any) -> QuietHours:
    """Hours that are on now and for the next half hour, by UTC."""
    now = timezone.now()
    begins, ends = (now - timedelta(minutes=5)).time(), (now + timedelta(minutes=30)).time()
    return QuietHours.objects.create(
        days="1234567", begins=begins, ends=ends, made_by="olga", **place
    )


@pytest.mark.parametrize(
    ("place", "held"),
    [
        (lambda g, s: {"group": g}, True),
        (lambda g, s: {"site": s}, True),
        (lambda g, s: {"group": g, "site": s}, True),
        (lambda g, s: {"group": make_group("other")}, False),
        (lambda g, s: {"site": make_site("elsewhere")}, False),
        (lambda g, s: {"group": g, "site": make_site("elsewhere")}, False),
    ],
)
def test_hours_hold_whom_they_name(place: Any, held: bool) -> None:
    group, site = make_group(), make_site()
    make_due(make_lines(1, group))
    hours = quiet(**place(group, site))
    [claimed] = store.claim_due(None, 10, 30.0)
    end = datetime.combine(timezone.now().date(), hours.ends)
    assert (claimed.news.stays_until > clocks.time()) == held
    if held:
        told = datetime.fromtimestamp(claimed.news.stays_until, timezone.get_default_timezone())
        assert told.time() == end.time()


def test_an_order_in_such_hours_is_asked_about_and_may_be_given_all_the_same() -> None:
    group = make_group()
    row = make_registration(group)
    quiet(group=group)
    with pytest.raises(jobs.OrderHeld, match="No-failback hours of ward at main until"):
        jobs.order({"all": True}, "omar")
    jobs.order({"all": True}, "omar", despite_hold=True)
    assert asked() == {row.pk: "failback"}


def test_hours_in_words() -> None:
    group, site = make_group("Ward 4"), make_site("north")
    hours = QuietHours(days="54321", begins=time(6, 45), ends=time(7, 15), group=group, site=site)
    assert jobs.hours_word(hours) == "Mon to Fri 06:45 to 07:15"
    assert jobs.place_word(hours) == "Group Ward 4 at site north"
    hours = QuietHours(days="13", begins=time(22), ends=time(6), site=site)
    assert jobs.hours_word(hours) == "Mon, Wed 22:00 to 06:00"
    assert jobs.place_word(hours) == "Site north"


# ---- Rollcall's own jobs ----------------------------------------------------------------------


def fast(**policy: Any) -> tuple[ServerGroup, list[Registration]]:
    """A group that acts on news, away from a primary that has been well for a minute."""
    group = make_group(fast_failover=True, re_register_on=True, **policy)
    rows = [make_registration(group) for _ in range(3)]
    now = timezone.now()
    for server in group.servers.all():
        ServerHealth.objects.update_or_create(
            server=server,
            site=rows[0].site,
            defaults={"condition": "up", "since": now - timedelta(minutes=1), "due_at": now},
        )
    return group, rows


def test_a_group_that_acts_on_news_comes_home_by_a_job_with_a_canary() -> None:
    group, rows = fast()
    jobs.advance_all()
    jobs.advance_all()
    job = Job.objects.get()
    assert (job.is_automatic, job.scope) == (True, {"group": group.pk})
    assert asked() == {rows[0].pk: "failback"}
    answer([rows[0].pk])
    assert set(asked()) == {row.pk for row in rows[1:]}


def test_its_agents_do_not_go_home_by_themselves() -> None:
    make_due(make_lines(1, make_group(fast_failover=True, re_register_on=True)))
    [claimed] = store.claim_due(None, 10, 30.0)
    assert claimed.news.stays_until > clocks.time() + 60


@pytest.mark.parametrize(
    "spoil",
    [
        lambda group: ServerHealth.objects.update(condition="silent"),
        lambda group: ServerHealth.objects.update(since=timezone.now()),
        lambda group: ServerHealth.objects.update(due_at=timezone.now() - HOUR),
        lambda group: ServerHealth.objects.all().delete(),
        lambda group: store.pause(primary_of(group).pk, ("127.0.0.2", 5060), clocks.time() + 60),
        lambda group: quiet(group=group),
        lambda group: ServerGroup.objects.update(fail_back_mode="duration", fail_back_timeout=0),
        lambda group: ServerGroup.objects.update(fail_back_mode="duration", fail_back_timeout=3600),
        lambda group: ServerGroup.objects.update(fast_failover=False),
        lambda group: ServerGroup.objects.update(mode="fallback"),
        lambda group: Registration.objects.update(state=State.PRIMARY),
    ],
)
def test_it_is_not_given_while_anything_speaks_against_it(spoil: Any) -> None:
    group, _ = fast()
    spoil(group)
    jobs.advance_all()
    assert not Job.objects.exists()


def test_it_waits_for_the_end_of_no_failback_hours_that_begin_meanwhile() -> None:
    group, rows = fast()
    jobs.advance_all()
    hours = quiet(group=group)
    answer([rows[0].pk])
    assert asked() == {}
    hours.delete()
    jobs.advance_all()
    assert set(asked()) == {row.pk for row in rows[1:]}


def end(now: datetime) -> None:
    """However the job ended, that was eleven minutes ago."""
    Job.objects.update(finished_at=now - timedelta(minutes=11))


def test_after_it_stopped_by_itself_it_is_tried_again_only_later() -> None:
    _, rows = fast()
    jobs.advance_all()
    answer([rows[0].pk], Result.REFUSED)
    jobs.advance_all()
    assert Job.objects.get().aborted_at is not None
    end(timezone.now())
    jobs.advance_all()
    assert Job.objects.count() == 2


def test_what_an_operator_cancelled_is_not_given_again_at_once() -> None:
    fast()
    jobs.advance_all()
    jobs.cancel(Job.objects.get(), "olga")
    jobs.advance_all()
    assert Job.objects.count() == 1


def test_whom_it_could_not_move_is_no_reason_for_another() -> None:
    _, rows = fast()
    Registration.objects.filter(pk__in=[row.pk for row in rows[1:]]).update(state=State.PRIMARY)
    jobs.advance_all()
    answer([rows[0].pk], Result.REFUSED)
    JobResult.objects.update(finished_at=timezone.now())
    end(timezone.now())
    jobs.advance_all()
    assert Job.objects.count() == 1


def test_whom_an_operator_rolled_back_stays() -> None:
    group, rows = fast()
    Job.objects.create(
        kind=Job.Kind.ROLLBACK, scope={"moved_by": 0}, hold_until=timezone.now() + HOUR
    ).results.create(registration=rows[0], group=group, result=Result.MOVED)
    Job.objects.update(finished_at=timezone.now())
    jobs.advance_all()
    assert not Job.objects.filter(is_automatic=True).exists()


# ---- What is said of a line that is held ------------------------------------------------------


def why(row: Registration) -> dict[str, Any]:
    shown = queries.with_memory(queries.registrations(timezone.now())).get(pk=row.pk)
    return explained.why(shown, {s.pk: s for s in shown.group.servers.all()})


def test_a_line_that_is_held_says_why_and_until_when() -> None:
    group = make_group()
    row = make_registration(group)
    assert "Not before" not in why(row)["way_home"]
    hours = quiet(group=group)
    assert re.search(r"Not before .+ UTC: these are no-failback hours\.", why(row)["way_home"])
    hours.delete()
    jobs.drain(primary_of(group), window(), "olga")
    said = why(row)["way_home"]
    assert re.search(rf"Not before .*: {re.escape(str(primary_of(group)))} is being", said)


def test_a_group_that_acts_on_news_says_that_a_job_brings_it_home() -> None:
    _, rows = fast()
    assert "Rollcall brings the group home" in why(rows[0])["way_home"]


def arrive(row: Registration) -> None:
    """What the agent of `row` was in the middle of ends: it is bound on its primary."""
    at = {"state": State.PRIMARY, "server": primary_of(row.group)}
    Registration.objects.filter(pk=row.pk).update(**at)


def test_who_was_on_his_way_there_when_it_began_is_swept_away_and_comes_home_too() -> None:
    group = make_group()
    rows = home(2, group)
    late = [make_registration(group, State.REGISTERING) for _ in range(2)]
    drain = jobs.drain(primary_of(group), window(), "olga")
    answer([rows[0].pk])
    answer([rows[1].pk])
    for row in late:
        arrive(row)
    jobs.advance_all()
    assert asked() == {}, "it rests a little, so that those who come one by one go together"
    soon = timezone.now() + timedelta(seconds=11)
    jobs.advance_all(soon)
    assert asked() == {late[0].pk: "drain"}, "a canary leaves first"
    answer([late[0].pk], now=soon)
    answer([late[1].pk], now=soon)
    away, sweep = Job.objects.order_by("pk")
    assert jobs.drain_row(drain)["late_jobs"] == [sweep.pk] and sweep.results.count() == 2
    jobs.advance_all(soon + timedelta(minutes=1))
    assert Job.objects.count() == 2, "nobody is left there"
    later = timezone.now() + 2 * HOUR
    jobs.advance_all(later)
    for pk in (rows[0].pk, rows[1].pk, late[0].pk, late[1].pk):
        answer([pk], now=later)
    jobs.advance_all(later)
    assert state_of(drain) == "done"
    back = Drain.objects.get(pk=drain.pk).home
    assert back is not None and back.results.filter(result=Result.MOVED).count() == 4


def test_whom_a_drain_has_asked_once_it_does_not_ask_again() -> None:
    group = make_group()
    rows = home(2, group)
    late = make_registration(group, State.REGISTERING)
    jobs.drain(primary_of(group), window(), "olga", jobs.Terms(abort_above_percent=100))
    answer([rows[0].pk])
    answer([rows[1].pk], Result.REFUSED)
    arrive(late)
    soon = timezone.now() + timedelta(seconds=11)
    jobs.advance_all(soon)
    assert asked() == {late.pk: "drain"}
    answer([late.pk], Result.REFUSED, soon)
    for row in rows:
        arrive(row)
    for minutes in range(1, 5):
        jobs.advance_all(soon + timedelta(minutes=minutes))
    assert asked() == {} and Job.objects.count() == 2


def test_whom_somebody_ordered_home_all_the_same_is_left_there() -> None:
    group = make_group()
    rows = home(1, group)
    other = make_registration(group, State.SECONDARY)
    jobs.drain(primary_of(group), window(), "olga")
    answer([rows[0].pk])
    jobs.order({"registrations": [other.pk]}, "omar", despite_hold=True)
    answer([other.pk])
    jobs.advance_all(timezone.now() + timedelta(seconds=30))
    assert asked() == {} and not Job.objects.filter(sweep_of__isnull=False).exists()


@pytest.mark.parametrize("stopped", ["cancelled", "refused", "observed", "ended"])
def test_nobody_is_swept_where_the_moving_was_stopped(stopped: str) -> None:
    group = make_group()
    rows = home(2, group)
    late = make_registration(group, State.REGISTERING)
    drain = jobs.drain(primary_of(group), window(), "olga")
    if stopped == "cancelled":
        jobs.cancel(Job.objects.get(), "omar")
    answer([rows[0].pk], Result.REFUSED if stopped == "refused" else Result.MOVED)
    answer([rows[1].pk])
    if stopped == "observed":
        Line.objects.filter(registration=late).update(supervision="observe")
    if stopped == "ended":
        jobs.end(drain, "omar")
    arrive(late)
    jobs.advance_all(timezone.now() + timedelta(seconds=30))
    assert not drain.sweeps.exists() and late.pk not in asked()


def test_a_sweep_under_way_at_its_end_is_cancelled_and_everybody_comes_home() -> None:
    group = make_group()
    rows = home(1, group)
    late = [make_registration(group, State.REGISTERING) for _ in range(3)]
    drain = jobs.drain(primary_of(group), window(), "olga", jobs.Terms(wave_size=1))
    answer([rows[0].pk])
    for row in late:
        arrive(row)
    soon = timezone.now() + timedelta(seconds=11)
    jobs.advance_all(soon)
    answer([late[0].pk], now=soon)
    jobs.end(Drain.objects.get(pk=drain.pk), "omar")
    jobs.advance_all(soon)
    jobs.advance_all(soon)
    assert asked().get(rows[0].pk) == "failback"
    sweep = drain.sweeps.get()
    assert sweep.cancelled_by == "omar" and sweep.finished_at is not None
