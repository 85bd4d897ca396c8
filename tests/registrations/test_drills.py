"""Failover drills: who goes, who comes home, what is left behind, and when none may begin."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from fleet.models import ServerGroup
from fleet.roles import Role
from registrations import jobs, queries
from registrations.alerts import gathering
from registrations.incidents.causes import troubles
from registrations.models import Drill, Job, JobResult, QuietHours, Registration, State
from tests.support.databases import database, migrated_postgres  # noqa: F401 - fixtures
from tests.support.rows import make_group, make_registration, make_transition, make_user

pytestmark = pytest.mark.usefixtures("database")

Result = JobResult.Result
MINUTES = jobs.Exercise(minutes=10)


def home(n: int, group: ServerGroup) -> list[Registration]:
    return [make_registration(group, State.PRIMARY) for _ in range(n)]


def asked() -> dict[int, str]:
    return dict(Registration.objects.exclude(wish="").values_list("pk", "wish"))


def answer(ids: Sequence[int], result: str = Result.MOVED, now: datetime | None = None) -> None:
    """Let agents say what came of what these were asked."""
    for row in Registration.objects.filter(pk__in=ids):
        priority, state = (1, State.PRIMARY) if row.wish == "failback" else (2, State.SECONDARY)
        if result == Result.MOVED:
            server = row.group.servers.get(priority=priority)
            Registration.objects.filter(pk=row.pk).update(state=state, server=server)
    Registration.objects.filter(pk__in=ids).update(wish="")
    pending = JobResult.objects.filter(registration__in=ids, result=Result.PENDING)
    pending.update(result=result, seconds=0.25, finished_at=now or timezone.now())
    jobs.advance_all(now)


def answer_all(result: str = Result.MOVED, now: datetime | None = None) -> None:
    while ids := sorted(asked()):
        answer(ids, result, now)


def fresh(drill: Drill) -> Drill:
    drill.refresh_from_db()
    return drill


def over(drill: Drill) -> tuple[datetime, dict[str, Any]]:
    """Let its minutes pass and everybody called come home."""
    later = timezone.now() + timedelta(minutes=11)
    jobs.advance_all(later)
    answer_all(now=later)
    jobs.advance_all(later)
    return later, json.loads(fresh(drill).evidence)


def test_they_move_stay_for_their_minutes_and_come_home_with_evidence_under_a_hash() -> None:
    group = make_group("ward")
    rows = home(3, group)
    drill = jobs.drill({"group": group.pk}, MINUTES, "olga")
    assert asked() == {rows[0].pk: "drill"}, "a canary goes first"
    answer_all()
    assert Registration.objects.filter(state=State.SECONDARY).count() == 3
    held = queries.holds_at(timezone.now().timestamp(), [rows[0].pk])
    assert rows[0].pk in held.rolled_back, "nobody goes home by himself meanwhile"
    jobs.advance_all(timezone.now() + timedelta(minutes=9))
    assert asked() == {} and fresh(drill).home is None
    later, told = over(drill)
    assert fresh(drill).stragglers == 0 and drill.finished_at == later
    assert (told["away"]["moved"], told["home"]["moved"], told["stragglers"]) == (3, 3, [])
    assert told["away"]["seconds"] == {"median": 0.25, "of_95_percent": 0.25, "longest": 0.25}
    assert {each["home"]["result"] for each in told["handsets"]} == {"moved"}
    assert drill.digest == sha256(drill.evidence.encode()).hexdigest()
    assert not queries.holds_at(later.timestamp() + 1, [rows[0].pk]).rolled_back


def test_a_sample_is_so_many_of_those_who_could_go() -> None:
    group = make_group("ward")
    rows = home(6, group)
    away = make_registration(group, State.SECONDARY)
    drill = jobs.drill({"group": group.pk}, jobs.Exercise(10, sample=2), "olga")
    assert drill.away is not None
    chosen = set(drill.away.results.values_list("registration", flat=True))
    assert len(chosen) == 2 and chosen <= {row.pk for row in rows} and away.pk not in chosen
    assert drill.scope == {"group": group.pk}


def test_whoever_does_not_come_home_is_in_the_evidence_and_an_incident_until_it_does() -> None:
    group = make_group("ward")
    rows = home(2, group)
    drill = jobs.drill({"group": group.pk}, MINUTES, "olga")
    answer_all()
    later = timezone.now() + timedelta(minutes=11)
    jobs.advance_all(later)
    answer([rows[0].pk], now=later)
    answer([rows[1].pk], Result.REFUSED, later)
    jobs.advance_all(later)
    assert fresh(drill).stragglers == 1
    lost = rows[1].line
    assert json.loads(drill.evidence)["stragglers"] == [f"{lost.handset.mac} {lost.extension}"]
    (found,) = troubles(gathering.facts(later, (), is_thorough=False))
    assert (found.kind, found.handsets, found.of) == ("drill", 1, 2)
    assert found.said.title == f"Handsets not home after drill {drill.pk}"
    primary = group.servers.get(priority=1)
    Registration.objects.filter(pk=rows[1].pk).update(state=State.PRIMARY, server=primary)
    assert troubles(gathering.facts(later, (), is_thorough=False)) == []
    make_transition(rows[1], at=later, from_state="secondary", to_state="primary")
    Registration.objects.filter(pk=rows[1].pk).update(state=State.SECONDARY)
    assert troubles(gathering.facts(later, (), is_thorough=False)) == [], "it had been home since"


def test_ended_early_it_asks_nobody_else_and_calls_home_who_has_moved() -> None:
    group = make_group("ward")
    rows = home(4, group)
    drill = jobs.drill({"group": group.pk}, MINUTES, "olga", jobs.Terms(wave_size=1))
    answer([rows[0].pk])
    jobs.end_drill(drill, "omar")
    jobs.advance_all()
    jobs.advance_all()
    assert asked() == {rows[0].pk: "failback"}
    answer_all()
    jobs.advance_all()
    assert fresh(drill).finished_at is not None and drill.ended_by == "omar"
    with pytest.raises(jobs.JobIsOver):
        jobs.end_drill(drill, "omar")


def test_where_the_others_take_nobody_the_drill_stops_and_calls_home_at_once() -> None:
    group = make_group("ward")
    rows = home(3, group)
    drill = jobs.drill({"group": group.pk}, MINUTES, "olga")
    answer([rows[0].pk], Result.REFUSED)
    jobs.advance_all()
    jobs.advance_all()
    assert fresh(drill).finished_at is not None and asked() == {}
    told = json.loads(drill.evidence)
    assert told["away"] == {
        "cancelled": 2,
        "refused": 1,
        "seconds": {"median": None, "of_95_percent": None, "longest": None},
    }
    assert "ward" in told["stopped"]


def test_nobody_who_could_go_is_no_drill() -> None:
    group = make_group("ward")
    make_registration(group, State.SECONDARY)
    with pytest.raises(jobs.OrderRefused, match="could go elsewhere"):
        jobs.drill({"group": group.pk}, MINUTES, "olga")
    assert not Job.objects.exists()


@pytest.mark.parametrize("hours_ahead", [0, 1])
def test_no_drill_comes_into_no_failback_hours(hours_ahead: int) -> None:
    group = make_group("ward")
    home(1, group)
    begins = timezone.now() + timedelta(hours=hours_ahead)
    ends = begins + timedelta(hours=2)
    QuietHours.objects.create(
        group=group,
        site=Registration.objects.get().site,
        days="1234567",
        begins=begins.time(),
        ends=ends.time(),
        made_by="omar",
    )
    with pytest.raises(jobs.OrderRefused, match="no-failback hours. Group ward"):
        jobs.drill({"group": group.pk}, jobs.Exercise(90), "olga")
    if hours_ahead:
        assert jobs.drill({"group": group.pk}, jobs.Exercise(30), "olga").pk


@pytest.mark.parametrize(
    ("exercise", "field"),
    [
        (jobs.Exercise(0), "minutes"),
        (jobs.Exercise(481), "minutes"),
        (jobs.Exercise(5, 0), "sample"),
    ],
)
def test_what_makes_no_drill_is_refused_by_its_field(exercise: jobs.Exercise, field: str) -> None:
    with pytest.raises(jobs.OrderRefused) as refused:
        jobs.drill({"all": True}, exercise, "olga")
    assert refused.value.field == field


def test_from_the_command_line_it_waits_and_writes_what_came_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    group = make_group("ward")
    home(2, group)

    def meanwhile(_seconds: float) -> None:
        # Agents answer; its minutes are over at once.
        Job.objects.filter(kind=Job.Kind.DRILL, finished_at__isnull=False).update(
            finished_at=timezone.now() - timedelta(minutes=11)
        )
        answer_all()

    monkeypatch.setattr("time.sleep", meanwhile)
    out, path = StringIO(), tmp_path / "drill.json"
    words = ("--group", "ward", "--wait", "--evidence", str(path))
    call_command("drill", *words, stdout=out)
    drill = Drill.objects.get()
    assert sha256(path.read_bytes()).hexdigest() == drill.digest
    assert "Over: everybody who had moved is home." in out.getvalue()
    with pytest.raises(CommandError, match="no group 'lab'"):
        call_command("drill", "--group", "lab")


def test_from_the_browser_it_begins_is_watched_ended_and_its_evidence_is_a_file(
    client: Client,
) -> None:
    group = make_group("ward")
    home(2, group)
    client.force_login(make_user("olga", Role.OPERATOR))
    asked_form = client.get(f"/drills/new/?group={group.pk}")
    assert "2</strong>" in asked_form.content.decode()
    nobody = client.post("/drills/new/", {"group": "", "minutes": "10"})
    assert nobody.status_code == 422 and "Choose a group or a site." in nobody.content.decode()
    first = client.post("/drills/new/", {"group": group.pk, "minutes": "10"})
    assert first.status_code == 422 and not Drill.objects.exists(), "first it says whom"
    given = {"group": group.pk, "minutes": "10", "seen": first.context["seen"]}
    wrong = client.post("/drills/new/", given | {"minutes": "0"})
    assert wrong.status_code == 422 and "1 to 480" in wrong.content.decode()
    sent = client.post("/drills/new/", given)
    drill = Drill.objects.get()
    assert sent.headers["Location"] == f"/drills/{drill.pk}/"
    assert client.get(f"/drills/{drill.pk}/evidence.json").status_code == 404
    answer_all()
    assert "They stay away until" in client.get(f"/drills/{drill.pk}/").content.decode()
    client.post(f"/drills/{drill.pk}/end/")
    answer_all()
    jobs.advance_all()
    page = client.get(f"/drills/{drill.pk}/").content.decode()
    assert fresh(drill).digest in page and "everybody who had moved is home" in page
    file = client.get(f"/drills/{drill.pk}/evidence.json")
    assert sha256(file.content).hexdigest() == drill.digest


def refused(scope: dict[str, Any], minutes: int = 10) -> str:
    before = Drill.objects.count()
    with pytest.raises(jobs.OrderRefused) as wrong:
        jobs.drill(scope, jobs.Exercise(minutes), "omar")
    assert wrong.value.field == "scope" and Drill.objects.count() == before
    return wrong.value.sentence


def test_no_drill_comes_upon_another_of_the_same_handsets() -> None:
    group, other = make_group("ward"), make_group("icu")
    rows, elsewhere = home(3, group), home(1, other)
    first = jobs.drill({"group": group.pk}, jobs.Exercise(10, sample=1), "olga")
    on = f"Drill {first.pk} is on with some of them: end it, or wait until it is over."
    assert refused({"group": group.pk}) == on
    answer_all()
    assert refused({"all": True}) == on, "while it is away"
    assert Drill.objects.count() == 1
    assert jobs.drill({"group": other.pk}, MINUTES, "olga").pk, "others may"
    moved = first.away.results.get().registration_id if first.away else None
    free = [row.pk for row in rows if row.pk != moved]
    assert jobs.drill({"registrations": free[:1]}, MINUTES, "olga").pk, "nor who was no part of it"
    over(first)
    assert elsewhere and jobs.drill({"registrations": [moved]}, MINUTES, "olga").pk


def test_a_drill_that_is_just_being_written_is_waited_for() -> None:
    group = make_group("ward")
    home(2, group)
    first = Drill.objects.create(scope={"group": group.pk}, minutes=5, asked_by="olga")
    just = f"Drill {first.pk} is just beginning: ask again in a moment."
    assert refused({"group": group.pk}) == just
    first.away = Job.objects.create(
        kind="drill", scope={"group": group.pk}, asked_by="olga", writing_until=timezone.now()
    )
    first.save()
    assert refused({"group": group.pk}) == just


def test_no_drill_comes_upon_a_job_of_the_same_handsets() -> None:
    group = make_group("ward")
    home(2, group)
    away = make_registration(group, State.SECONDARY)
    job = jobs.order({"registrations": [away.pk]}, "olga")
    moving = f"Job {job.pk} is moving some of them: cancel it, or wait until it is over."
    assert refused({"group": group.pk}) == moving
    answer_all()
    jobs.advance_all()
    assert jobs.drill({"group": group.pk}, MINUTES, "olga").pk


@pytest.mark.parametrize("priority", [1, 2])
def test_no_drill_comes_upon_a_drain_of_a_server_it_needs(priority: int) -> None:
    group = make_group("ward")
    home(2, group)
    machine = group.servers.get(priority=priority)
    # The machine serves another group too, and is drained as that one's.
    other = make_group("icu")
    other.servers.filter(priority=1).update(address=machine.address, port=machine.port)
    begins = timezone.now() + timedelta(minutes=30)
    window = jobs.Window(begins, begins + timedelta(hours=1))
    drain = jobs.drain(other.servers.get(priority=1), window, "olga")
    said = f"{machine} of ward is to be drained (drain {drain.pk}): a drill needs it."
    assert refused({"group": group.pk}, minutes=45) == said
    assert jobs.drill({"group": group.pk}, MINUTES, "olga").pk, "it is over before that begins"


def test_whoever_a_drill_keeps_away_is_said_to_be_in_that_drill() -> None:
    group = make_group("ward")
    (row,) = home(1, group)
    drill = jobs.drill({"group": group.pk}, MINUTES, "olga")
    answer_all()
    row.refresh_from_db()
    now, primary = timezone.now(), group.servers.get(priority=1)
    said = f"Not before drill {drill.pk} is over, which keeps it away."
    assert jobs.hold_of(row, primary, now) == said
    with pytest.raises(jobs.OrderHeld, match=f"Drill {drill.pk} keeps some of them away."):
        jobs.order({"group": group.pk}, "omar")


def test_the_dialog_says_what_a_drill_would_come_upon(client: Client) -> None:
    group = make_group("ward")
    home(2, group)
    drill = jobs.drill({"group": group.pk}, MINUTES, "olga")
    client.force_login(make_user("olga", Role.OPERATOR))
    page = client.get(f"/drills/new/?group={group.pk}").content.decode()
    assert f"Drill {drill.pk} is on with some of them" in page
