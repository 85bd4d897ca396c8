"""The pages of jobs, drains and no-failback hours: what they say, and who may press what."""

import re
from datetime import time, timedelta

import pytest
from django.contrib.auth.models import Group
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from fleet.models import ServerGroup
from fleet.roles import Role
from registrations import jobs
from registrations.models import (
    Drain,
    Job,
    JobResult,
    QuietHours,
    Registration,
    ServerHealth,
    State,
)
from tests.support.rows import make_group, make_registration, make_site, make_user

pytestmark = pytest.mark.django_db

Result = JobResult.Result


def signed_in(role: Role) -> Client:
    user = make_user(f"someone-{role}")
    user.groups.add(Group.objects.get_or_create(name=role.group_name)[0])
    client = Client()
    client.force_login(user)
    return client


def text(response: HttpResponse) -> str:
    bare = re.sub(r"<script.*?</script>|<[^>]+>", " ", response.content.decode(), flags=re.S)
    return re.sub(r"\s+", " ", bare)


@pytest.fixture
def ward() -> ServerGroup:
    return make_group("ward")


def answer(ids: list[int], result: str = Result.MOVED) -> None:
    Registration.objects.filter(pk__in=ids).update(wish="")
    JobResult.objects.filter(registration__in=ids, result=Result.PENDING).update(
        result=result, reason="The server refused it (403 Forbidden).", seconds=0.2
    )
    jobs.advance_all()


def page_of(job: Job, role: Role = Role.OPERATOR) -> str:
    return text(signed_in(role).get(f"/jobs/{job.pk}/"))


def test_a_running_job_says_in_one_sentence_what_is_happening(ward: ServerGroup) -> None:
    rows = [make_registration(ward).pk for _ in range(5)]
    job = jobs.order({"group": ward.pk}, "olga", jobs.Terms(wave_size=2))
    client = signed_in(Role.OPERATOR)
    url = f"/jobs/{job.pk}/"
    words = text(client.get(url))
    assert "The canary: 0 of 1 have answered. 4 handsets wait for their turn." in words
    assert "Canary 0 of 1" in words
    assert "Wave 2 waits" in words
    answer(rows[:1])
    answer(rows[1:2])
    words = text(client.get(url))
    said = "Wave 1 of 2: 1 of 2 have answered. 2 handsets wait for their turn."
    assert said in words
    client.post(f"{url}pause/")
    answer(rows[2:3])
    words = text(client.get(url))
    assert re.search(r"Paused by someone-2 at \d\d:\d\d \S+: 2 handsets wait until it goes", words)
    client.post(f"{url}resume/")
    answer(rows[3:])
    words = text(client.get(url))
    assert "Done: 5 handsets moved home." in words
    assert "Wave 2 2 of 2" in words


def test_a_job_that_left_everybody_out_says_so_and_not_that_nobody_had_to_move() -> None:
    lonely = make_group("lonely", servers=1)
    for _ in range(2):
        make_registration(lonely, State.PRIMARY)
    server = lonely.servers.get()
    drain = jobs.drain(
        server, jobs.Window(timezone.now(), timezone.now() + timedelta(hours=1)), "o"
    )
    assert drain.away is not None
    words = page_of(drain.away)
    assert "Done: 0 handsets moved away, 2 left out." in words
    assert "0 moved, 2 left out" in words and "nobody had to be moved" not in words
    client = signed_in(Role.VIEWER)
    listed = text(client.get("/jobs/"))
    assert "0 moved, 2 left out" in listed and f"{server} is not empty, 2 are still on it" in listed
    assert client.get(f"/api/v1/failbacks/{drain.away.pk}/").json()["left_out"] == 2
    shown = client.get(f"/api/v1/drains/{drain.pk}/").json()
    assert (shown["state"], shown["left"]) == ("not_empty", 2)


def test_a_job_that_stopped_says_why_and_who_was_refused(ward: ServerGroup) -> None:
    rows = [make_registration(ward).pk for _ in range(3)]
    job = jobs.order({"group": ward.pk}, "olga")
    answer(rows[:1], Result.REFUSED)
    words = page_of(job)
    assert "Stopped by itself. The canary of group ward failed, so nobody else was asked." in words
    assert "1 did not and stayed where it was" in words
    assert "The server refused it (403 Forbidden)." in words
    assert "Wave 1 not asked" in words
    assert "Roll back" not in words


def test_what_it_moved_may_be_rolled_back_by_an_operator_alone(ward: ServerGroup) -> None:
    row = make_registration(ward)
    job = jobs.order({"group": ward.pk}, "olga")
    answer([row.pk])
    Registration.objects.filter(pk=row.pk).update(
        state=State.PRIMARY, server=ward.servers.get(priority=1)
    )
    assert "Roll back" not in page_of(job, Role.VIEWER)
    assert signed_in(Role.CONFIGURER).get(f"/jobs/{job.pk}/").status_code == 200
    url = f"/jobs/{job.pk}/rollback/"
    client = signed_in(Role.OPERATOR)
    assert "Register 1 handset elsewhere again?" in text(client.get(f"/jobs/{job.pk}/"))
    response = client.post(url)
    back = Job.objects.get(kind=Job.Kind.ROLLBACK)
    assert response.url == f"/jobs/{back.pk}/"
    words = text(client.get(response.url))
    assert f"Rollback of job {job.pk}" in words
    assert "does not fail back by itself until" in words


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "rollback"])
def test_a_viewer_moves_nobody(ward: ServerGroup, verb: str) -> None:
    make_registration(ward)
    job = jobs.order({"group": ward.pk}, "olga")
    assert signed_in(Role.VIEWER).post(f"/jobs/{job.pk}/{verb}/").status_code == 403
    job.refresh_from_db()
    assert (job.paused_at, job.cancelled_at) == (None, None)


def test_a_large_order_asks_for_its_name(ward: ServerGroup) -> None:
    for _ in range(101):
        make_registration(ward)
    client = signed_in(Role.OPERATOR)
    assert "To go on, type ward" in text(client.get(f"/jobs/new/?group={ward.pk}"))
    wrong = client.post("/jobs/new/", {"group": ward.pk, "named": "lab"})
    assert wrong.status_code == 422
    assert "Type ward to bring 101 handsets home." in text(wrong)
    assert not Job.objects.exists()
    right = {"group": ward.pk, "named": " ward ", "abort_above_percent": "20", "wave_size": "50"}
    client.post("/jobs/new/", right)
    job = Job.objects.get()
    assert (job.abort_above_percent, job.wave_size) == (20, 50)


def test_an_order_that_goes_against_quiet_hours_asks_first(ward: ServerGroup) -> None:
    make_registration(ward)
    now = timezone.now()
    QuietHours.objects.create(
        group=ward,
        days="1234567",
        begins=(now - timedelta(minutes=1)).time(),
        ends=(now + timedelta(minutes=20)).time(),
        made_by="olga",
    )
    client = signed_in(Role.OPERATOR)
    words = text(client.get(f"/jobs/new/?group={ward.pk}"))
    assert "No-failback hours of ward at main until" in words
    assert "Bring them home all the same" in words
    client.post("/jobs/new/", {"group": ward.pk})
    assert not Job.objects.exists()
    client.post("/jobs/new/", {"group": ward.pk, "despite_hold": "1"})
    assert Job.objects.exists()


def test_a_drain_is_ordered_from_its_servers_page_and_ended_from_the_jobs(
    ward: ServerGroup,
) -> None:
    server = ward.servers.get(priority=1)
    make_registration(ward, State.PRIMARY)
    client = signed_in(Role.OPERATOR)
    words = text(client.get(f"/drains/new/?server={server.pk}"))
    assert f"Drain {server}?" in words
    assert f"On primary, {server} → 127.0.0.3:5060 1" in words
    ends = (timezone.now() + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M")
    client.post("/drains/new/", {"server": server.pk, "ends_at": ends})
    drain = Drain.objects.get()
    assert drain.ends_at.strftime("%Y-%m-%dT%H:%M") == ends
    words = text(client.get("/jobs/"))
    assert "Its handsets are moved away; 1 is on it." in words
    assert f"Drain of {server}" in words
    assert "Its handsets are moved away" in text(client.get("/"))
    client.post(f"/drains/{drain.pk}/end/")
    drain.refresh_from_db()
    assert drain.ended_by == f"someone-{Role.OPERATOR}"


@pytest.mark.parametrize("ends", ["", "soon", "2020-01-01T00:00"])
def test_a_drain_that_makes_no_sense_says_so(ward: ServerGroup, ends: str) -> None:
    server = ward.servers.get(priority=1)
    wrong = signed_in(Role.OPERATOR).post("/drains/new/", {"server": server.pk, "ends_at": ends})
    assert wrong.status_code == 422
    assert re.search("Give a date and a time|It must end after", text(wrong))
    assert not Drain.objects.exists()


def test_hours_are_kept_and_removed_by_a_configurer_alone(ward: ServerGroup) -> None:
    site = make_site()
    given = {
        "group": ward.pk,
        "site": site.pk,
        "days": ["1", "2", "3", "4", "5"],
        "begins": "06:45",
        "ends": "07:15",
    }
    assert signed_in(Role.OPERATOR).post("/jobs/hours/new/", given).status_code == 403
    client = signed_in(Role.CONFIGURER)
    wrong = client.post("/jobs/hours/new/", given | {"group": "", "site": ""})
    assert wrong.status_code == 422 and "Name a group, a site, or both." in text(wrong)
    wrong = client.post("/jobs/hours/new/", given | {"days": []})
    assert "Name each weekday once" in text(wrong)
    client.post("/jobs/hours/new/", given)
    words = text(client.get("/jobs/"))
    assert "Group ward at site main Mon to Fri 06:45 to 07:15" in words
    client.post(f"/jobs/hours/{QuietHours.objects.get().pk}/delete/")
    assert not QuietHours.objects.exists()


def test_hours_of_a_group_end_by_the_clocks_of_its_sites(ward: ServerGroup) -> None:
    for zone in ("Asia/Tokyo", "America/Denver"):
        make_registration(ward, site=make_site(zone, time_zone=zone))
    make_site("elsewhere", time_zone="Europe/Paris")
    hours = {"days": "1234567", "begins": time(0), "ends": time(0)}
    QuietHours.objects.create(group=ward, **hours)
    words = text(signed_in(Role.VIEWER).get("/jobs/"))
    # Which of the two midnights comes first depends on the time of day.
    ends = re.search(r"On until ([^,]*) , until ([^,]*) : none goes home", words)
    assert ends is not None
    assert sorted(end.split()[-1][0] for end in ends.groups()) == ["J", "M"]
    assert all("00:00:00" in end for end in ends.groups())


def test_a_cancelled_job_counts_whom_it_moved_and_offers_to_take_it_back(ward: ServerGroup) -> None:
    for _ in range(5):
        make_registration(ward)
    job = jobs.order({"group": ward.pk}, "olga", jobs.Terms(wave_size=2))
    answer(list(JobResult.objects.filter(job=job, wave=0).values_list("registration", flat=True)))
    jobs.cancel(job, "olga")
    words = page_of(job)
    assert "1 of 5 moved" in words
    assert f"Those that job {job.pk} brought home" in words
    assert "1 of 5 moved" in text(signed_in(Role.VIEWER).get("/jobs/"))


def test_the_api_keeps_hours_and_drains_servers(ward: ServerGroup) -> None:
    make_registration(ward, State.PRIMARY)
    client = signed_in(Role.CONFIGURER)
    server = ward.servers.get(priority=1)
    kept = client.post(
        "/api/v1/quiet-hours/",
        {"group": ward.pk, "days": "67", "begins": "22:00", "ends": "06:00"},
        content_type="application/json",
    )
    assert (kept.status_code, kept.json()["made_by"]) == (201, f"someone-{Role.CONFIGURER}")
    refused = client.post(
        "/api/v1/quiet-hours/",
        {"days": "8", "begins": "22:00", "ends": "06:00"},
        content_type="application/json",
    )
    assert refused.status_code == 400 and set(refused.json()) == {"group", "days"}
    past = {"server": server.pk, "ends_at": "2020-01-01T00:00:00Z"}
    answer = client.post("/api/v1/drains/", past, content_type="application/json")
    assert (answer.status_code, set(answer.json())) == (400, {"ends_at"})
    ends = (timezone.now() + timedelta(hours=1)).isoformat()
    made = client.post(
        "/api/v1/drains/", {"server": server.pk, "ends_at": ends}, content_type="application/json"
    )
    assert (made.status_code, made.json()["state"]) == (201, "emptying")
    job = client.get(f"/api/v1/failbacks/{made.json()['away_job']}/").json()
    assert (job["kind"], job["total"]) == ("drain", 1)
    ended = client.post(f"/api/v1/drains/{made.json()['id']}/end/")
    assert ended.status_code == 200
    assert client.post(f"/api/v1/drains/{made.json()['id']}/end/").status_code == 409


def test_the_api_tells_what_an_order_would_do_and_orders_nothing(ward: ServerGroup) -> None:
    for _ in range(3):
        make_registration(ward)
    make_registration(ward, State.PRIMARY)
    make_registration(ward, State.REJECTED)
    client = signed_in(Role.OPERATOR)
    url = "/api/v1/failbacks/preview/"
    body = {"group": ward.pk, "wave_size": 1}
    told = client.post(url, body, content_type="application/json").json()
    assert (told["total"], told["asked"], told["already"], told["left_out"]) == (5, 3, 1, 1)
    assert told["reasons"] == {"Rejected: no server takes it.": 1}
    assert (told["canaries"], told["waves"], told["held"]) == (1, 2, [])
    [lane] = told["lanes"]
    assert (lane["goal"], lane["count"]) == (str(ward.servers.get(priority=1)), 3)
    assert not Job.objects.exists()
    wrong = client.post(url, {"group": 987654}, content_type="application/json")
    assert (wrong.status_code, set(wrong.json())) == (400, {"group"})


def test_who_is_only_observed_is_named_with_its_own_way_home(ward: ServerGroup) -> None:
    make_registration(ward)
    ends = timezone.now() + timedelta(minutes=40)
    make_registration(ward, State.DISABLED, supervision="observe", expires_at=ends)
    words = text(signed_in(Role.OPERATOR).get(f"/jobs/new/?group={ward.pk}"))
    why = "It is only observed and cannot be moved from here: the handset decides."
    assert f"Left out: {why} 1" in words
    assert "ward, 1 observed: Offers its next renewal to the primary first." in words
    assert "At the latest at" in words


def test_a_primary_that_is_not_well_is_a_warning_and_leaves_nobody_out(ward: ServerGroup) -> None:
    row = make_registration(ward)
    home = ward.servers.get(priority=1)
    ServerHealth.objects.update_or_create(
        server=home,
        site=row.site,
        defaults={"condition": "silent", "since": timezone.now(), "due_at": timezone.now()},
    )
    words = text(signed_in(Role.OPERATOR).get(f"/jobs/new/?group={ward.pk}"))
    assert re.search(rf"{re.escape(str(home))}, the primary of ward: Silent since", words)
    assert "Bring 1 handset home?" in words
