"""Against lost updates: who changes a thing says which version of it they read."""

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from fleet import api, services, stale
from fleet.models import Handset, Server, ServerGroup, Site
from fleet.roles import Role
from tests.support.databases import database, migrated_postgres
from tests.support.rows import make_group, make_line, make_token, make_user

__all__ = ["database", "migrated_postgres"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked() -> APIClient:
    client = APIClient()
    token = make_token(make_user("carla", Role.CONFIGURER))
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def make_one(kind: str, asked: APIClient) -> str:
    """A thing of that kind; return its address."""
    line = make_line(make_group())
    handset = line.handset
    pk = {
        "sites": handset.site_id,
        "groups": handset.group_id,
        "servers": handset.group.servers.get(priority=2).pk,
        "handsets": handset.pk,
        "lines": line.pk,
    }
    if kind == "quiet-hours":
        hours = {"group": handset.group_id, "days": "67", "begins": "22:00", "ends": "06:00"}
        return f"/api/v1/{kind}/{asked.post('/api/v1/quiet-hours/', hours).json()['id']}/"
    if kind == "views":
        view = {"name": "Away", "query": "state=secondary", "is_shared": True}
        made = asked.post("/api/v1/views/", view, format="json").json()
        return f"/api/v1/views/{made['slug']}/"
    return f"/api/v1/{kind}/{pk[kind]}/"


CHANGES: dict[str, dict[str, Any]] = {
    "sites": {"time_zone": "America/Denver"},
    "groups": {"expires": 600},
    "servers": {"port": 5070},
    "handsets": {"name": "Night nurse"},
    "lines": {"domain": "other.example"},
    "quiet-hours": {"days": "1"},
    "views": {"query": "state=primary"},
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_of_what_was_read_is_made_and_one_of_what_is_no_more_is_not(
    asked: APIClient, kind: str
) -> None:
    address = make_one(kind, asked)
    read = asked.get(address)
    tag = read.headers["ETag"]
    assert tag == f'"{read.json()["version"]}"'
    made = asked.patch(address, CHANGES[kind], format="json", headers={"If-Match": tag})
    assert made.status_code == 200, made.json()
    assert made.headers["ETag"] != tag
    assert asked.get(address).headers["ETag"] == made.headers["ETag"]
    for late in (
        asked.patch(address, CHANGES[kind], format="json", headers={"If-Match": tag}),
        asked.delete(address, headers={"If-Match": tag}),
    ):
        assert late.status_code == 412
        assert "since you read it" in late.json()["detail"]
    assert asked.get(address).headers["ETag"] == made.headers["ETag"]


@pytest.mark.parametrize("kind", [kind for kind in CHANGES if kind != "views"])
def test_a_whole_that_is_put_says_which_one_it_replaces(asked: APIClient, kind: str) -> None:
    address = make_one(kind, asked)
    read = asked.get(address).json()
    body = read | CHANGES[kind]
    unsaid = {name: value for name, value in body.items() if name != "version"}
    assert asked.put(address, unsaid, format="json").status_code == 428
    assert asked.get(address).json() == read
    assert asked.put(address, body, format="json").status_code == 200
    assert asked.put(address, body, format="json").status_code == 412
    anyway = asked.put(address, unsaid, format="json", headers={"If-Match": "*"})
    assert anyway.status_code == 200


def test_a_version_tells_whatever_was_changed_by_whomever() -> None:
    line = make_line(make_group())
    group = line.handset.group

    def versions() -> tuple[str, ...]:
        return tuple(
            stale.version(model.objects.get(pk=pk))
            for model, pk in ((ServerGroup, group.pk), (Handset, line.handset_id))
        )

    before = versions()
    Server.objects.filter(group=group, priority=2).update(port=5070)
    servers = versions()
    assert servers[0] != before[0]
    fleet = (
        f"groups: [{{name: {group}, dns_cache: [{{type: A, name: a.example, address: 1.2.3.4}}]}}]"
    )
    services.import_files([("fleet.yaml", fleet.encode())], by="ann")
    assert versions()[0] != servers[0]
    row = f"mac,name\n{line.handset.mac},Night nurse\n"
    services.import_files([("h.csv", row.encode())], by="ann")
    assert versions()[1] != before[1]
    Server.objects.filter(group=group, priority=2).update(port=5060)
    fleet = f"groups: [{{name: {group}, dns_cache: []}}]"
    services.import_files([("fleet.yaml", fleet.encode())], by="ann")
    assert versions()[0] == before[0]


def test_who_waits_for_a_change_sees_what_it_made(
    database: str, asked: APIClient, request: pytest.FixtureRequest
) -> None:
    """On PostgreSQL the second of two waits for the first, then is told that it comes too late."""
    site = Site.objects.create(name="main")
    address = f"/api/v1/sites/{site.pk}/"
    tag = asked.get(address).headers["ETag"]
    answers: list[int] = []

    def second() -> None:
        change = {"time_zone": "Europe/Berlin"}
        late = asked.patch(address, change, format="json", headers={"If-Match": tag})
        answers.append(late.status_code)
        connection.close()

    thread = threading.Thread(target=second)
    with transaction.atomic():
        stale.held(Site.objects.all(), site.pk, None)
        Site.objects.filter(pk=site.pk).update(time_zone="America/Denver")
        thread.start()
        thread.join(0.3)
        assert not answers
    thread.join(30)
    assert answers == [412]
    assert Site.objects.get().time_zone == "America/Denver"


def test_of_two_who_make_the_same_at_once_one_is_told(
    database: str, asked: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if both had been checked before either was written."""
    monkeypatch.setattr(api.HandsetSerializer, "validate", lambda _, attrs: attrs)
    handset = make_line(make_group()).handset
    body = {"mac": handset.mac, "group": handset.group_id, "site": handset.site_id}
    late = asked.post("/api/v1/handsets/", body, format="json")
    assert late.status_code == 409
    assert "at this very moment" in late.json()["detail"]
    assert Handset.objects.count() == 1


@pytest.mark.parametrize("kind", ["sites", "groups", "servers", "handsets", "lines"])
def test_a_field_that_is_not_there_is_refused_by_its_name(asked: APIClient, kind: str) -> None:
    address = make_one(kind, asked)
    answer = asked.patch(address, {"expries": 60}, format="json")
    assert answer.status_code == 400
    assert answer.json() == {"expries": ["There is no such field."]}
