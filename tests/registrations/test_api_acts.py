"""What the pages show and do beside their lists exists in the API too."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.utils import timezone
from rest_framework.test import APIClient

from fleet import import_orders
from fleet.models import Handset, Line
from fleet.roles import Role
from registrations import wallboards
from registrations.exports import orders
from registrations.models import ExportJob, Registration, State, WallboardToken
from tests.support.rows import make_group, make_registration, make_transition, make_user

pytestmark = pytest.mark.django_db


def client_of(role: Role, name: str = "ann") -> APIClient:
    client = APIClient()
    client.force_authenticate(make_user(name, role))
    return client


def test_files_are_looked_through_and_imported_when_somebody_says_go() -> None:
    asked = client_of(Role.CONFIGURER)
    sent = {"name": "tree.cfg", "text": "nonsense"}
    refused = asked.post("/api/v1/imports/jobs/", sent, format="json").json()
    assert refused["state"] == "refused"
    assert refused["fault_count"] == 1
    table = "mac,extension,domain,group,site,supervision\n00907a000001,1,a.example,ward,main,off\n"
    make_group()
    asked.post("/api/v1/sites/", {"name": "main"}, format="json")
    sent = {"name": "h.csv", "text": table}
    made = asked.post("/api/v1/imports/jobs/", sent, format="json")
    assert made.status_code == 202
    job = made.json()
    assert (job["state"], job["counts"]["handsets"]["created"]) == ("ready", 1)
    assert not Handset.objects.exists()
    url = f"/api/v1/imports/jobs/{job['id']}/"
    assert asked.get(url).json() == job
    assert asked.post(f"{url}go/", {}, format="json").json()["state"] == "done"
    assert Handset.objects.count() == 1
    assert asked.post(f"{url}go/", {}, format="json").status_code == 409
    assert asked.get("/api/v1/imports/jobs/").json()["count"] == 2
    assert asked.delete(url).status_code == 204
    assert asked.get(url).status_code == 404


def test_a_long_import_tells_how_far_it_is() -> None:
    asked = client_of(Role.CONFIGURER)
    job = import_orders.order([("h.csv", b"x" * import_orders.AT_ONCE * 2)], by="ann")
    url = f"/api/v1/imports/jobs/{job.pk}/"
    assert asked.get(url).json()["state"] == "waiting"
    later = timezone.now() + timedelta(minutes=1)
    import_orders.ImportJob.objects.update(done=400, total=1000, leased_until=later)
    told = asked.get(url).json()
    assert (told["state"], told["done"], told["total"]) == ("running", 400, 1000)


def test_many_lines_look_again_at_once() -> None:
    group = make_group()
    rows = [make_registration(group, state) for state in (State.REJECTED, State.PRIMARY)]
    asked = client_of(Role.OPERATOR)
    url = "/api/v1/registrations/resume/"
    everybody = {"filter": f"group={group.pk}"}
    told = asked.post(url, everybody | {"dry_run": True}, format="json").json()
    assert told["asked"] == 1
    assert told["left_out"] == [{"reason": "it is on a server: nothing to resume", "count": 1}]
    assert not Registration.objects.exclude(wish="").exists()
    assert asked.post(url, {"registrations": [rows[0].pk]}, format="json").json()["asked"] == 1
    assert [row.pk for row in Registration.objects.filter(wish="resume")] == [rows[0].pk]
    for wrong in ({}, everybody | {"registrations": [1]}, {"filter": "colour=red"}):
        assert asked.post(url, wrong, format="json").status_code == 400


def test_who_stood_elsewhere_at_another_time_is_told() -> None:
    row = make_registration(make_group())
    now = timezone.now()
    Line.objects.update(created_at=now - timedelta(days=1))
    home = {"to_state": State.PRIMARY, "to_server": "127.0.0.2:5060", "cause": "failback"}
    make_transition(row, at=now - timedelta(hours=3), mac=row.line.handset.mac, **home)
    make_transition(row, at=now - timedelta(hours=1), mac=row.line.handset.mac)
    asked = client_of(Role.VIEWER)
    since = (now - timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    told = asked.get("/api/v1/between/", {"from": since}).json()
    assert told["count"] == 1
    [found] = told["results"]
    assert (found["registration"], found["mac"]) == (row.pk, row.line.handset.mac)
    assert found["before"]["state"] == "primary"
    assert found["after"] == {"state": "secondary", "server": "127.0.0.3:5060"}
    for wrong in ({}, {"from": since, "to": since}, {"from": "noon"}, {"from": since, "size": "1"}):
        assert asked.get("/api/v1/between/", wrong).status_code == 400, wrong


def test_an_export_is_taken_back_by_who_ordered_it_or_an_admin() -> None:
    made = [orders.order("transitions", QueryDict(""), User(username="ann")) for _ in range(2)]
    first, second = (f"/api/v1/exports/{job.pk}/" for job in made)
    assert client_of(Role.VIEWER, "bob").delete(first).status_code == 403
    assert client_of(Role.VIEWER, "ann").delete(first).status_code == 204
    assert client_of(Role.ADMIN, "cid").delete(second).status_code == 204
    assert not ExportJob.objects.exists()


def test_a_screen_is_let_in_by_a_key_that_is_told_once() -> None:
    group = make_group()
    asked = client_of(Role.ADMIN)
    url = "/api/v1/wallboards/"
    made = asked.post(url, {"name": "lobby", "groups": [group.pk]}, format="json")
    assert made.status_code == 201
    extent = wallboards.extent_of(made.json()["key"], "127.0.0.1")
    assert extent is not None and group.pk in extent.groups
    assert "key" not in asked.get(f"{url}{made.json()['id']}/").json()
    assert asked.post(url, {"name": "lobby"}, format="json").status_code == 400
    assert asked.delete(f"{url}{made.json()['id']}/").status_code == 204
    assert not WallboardToken.objects.exists()


def test_the_fleet_and_a_group_are_had_as_files() -> None:
    row = make_registration(make_group())
    asked = client_of(Role.CONFIGURER)
    for ending, kind in (("yaml", "application/yaml"), ("csv", "text/csv; charset=utf-8")):
        answer = asked.get("/api/v1/fleet/", {"format": ending}, headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
        assert row.line.handset.mac.encode() in answer.content
        assert b"a very secret password" not in answer.content
    assert asked.get("/api/v1/fleet/", {"format": "pdf"}).status_code == 400
    text = asked.get(f"/api/v1/groups/{row.group_id}/site.cfg").content.decode()
    assert "failBack.mode" in text


def test_what_waits_since_the_first_run_is_let_go() -> None:
    row = make_registration(make_group(), supervision="off")
    Line.objects.update(waits=True)
    asked = client_of(Role.CONFIGURER)
    assert asked.get("/api/v1/first-run/").json() == {"waiting": 1, "begun": 0}
    assert asked.post("/api/v1/first-run/").json() == {"waiting": 0, "begun": 1}
    assert Line.objects.get(pk=row.line_id).supervision == "register"


UNKNOWN = {
    "sites/": "size=5",
    "handsets/": "sort=name",
    "registrations/": "size=5",
    "registrations/ID/": "colour=red",
    "registrations/ID/why/": "colour=red",
    "registrations/ID/trace/": "colour=red",
    "transitions/": "page=2",
    "failbacks/": "state=done",
    "exports/": "columns=mac",
    "summary/": "group=1",
    "readiness/": "from=1",
    "readiness/summary/": "group=1",
    "server-changes/": "before=1",
    "census/": "step=5",
    "views/": "q=ward",
    "fleet/": "group=1",
    "imports/jobs/": "state=done",
    "transitions/export/": "colour=red",
}


@pytest.mark.parametrize("path", UNKNOWN)
def test_a_parameter_that_means_nothing_is_refused_by_its_name(path: str, live_redis: str) -> None:
    row = make_registration(make_group())
    name = UNKNOWN[path].split("=")[0]
    url = f"/api/v1/{path.replace('ID', str(row.pk))}?{UNKNOWN[path]}"
    answer = client_of(Role.CONFIGURER).get(url)
    assert answer.status_code == 400, url
    assert list(answer.json()) == [name]


@pytest.mark.parametrize("size", ["0", "-1", "many", ""])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    answer: Any = client_of(Role.VIEWER).get("/api/v1/handsets/", {"page_size": size})
    assert answer.status_code == 400
    assert "page_size" in answer.json()


def test_many_handsets_are_changed_in_one_go_as_was_told_before() -> None:
    group, other = make_group(), make_group("other")
    rows = [make_registration(group, State.DISABLED, supervision="off") for _ in range(12)]
    asked = client_of(Role.CONFIGURER)
    url = "/api/v1/registrations/change/"
    order = {"filter": f"group={group.pk}", "group": other.pk, "add_tags": ["night"]}
    told = asked.post(url, order | {"dry_run": True}, format="json").json()
    assert (told["handsets"], told["starting"]) == (12, 0)
    assert {"what": "group", "was": "ward", "count": 12} in told["changes"]
    assert not other.handsets.exists()
    rows[0].line.handset.delete()
    stale = asked.post(url, order | {"mark": told["mark"]}, format="json")
    assert stale.status_code == 409
    assert not other.handsets.exists()
    done = asked.post(url, order, format="json").json()
    assert done["handsets"] == other.handsets.count() == 11
    assert other.handsets.first().tags == ["night"]
    on = {"registrations": [row.pk for row in rows], "supervision": "register"}
    assert asked.post(url, on, format="json").status_code == 409
    assert asked.post(url, on | {"starting": 11}, format="json").json()["starting"] == 11
    assert Line.objects.filter(supervision="register").count() == 11
    for wrong in ({"filter": ""}, {"registrations": [1]}, {"group": other.pk}):
        assert asked.post(url, wrong, format="json").status_code == 400, wrong
