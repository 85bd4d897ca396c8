"""The API of what exists: made, read, changed, deleted, and followed by the registrations."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from fleet.models import Handset, Line, Server, ServerGroup, Site
from fleet.roles import Role
from fleet.signals import fleet_changed
from registrations.models import Registration, State
from tests.support.certificates import Authority
from tests.support.rows import make_group, make_line, make_site, make_token, make_user

pytestmark = pytest.mark.django_db

SECRET = "a very secret password"


@pytest.fixture
def asked() -> APIClient:
    client = APIClient()
    token = make_token(make_user("carla", Role.CONFIGURER))
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


@pytest.fixture
def announced() -> Iterator[list[list[int]]]:
    """The line ids of every announcement."""
    heard: list[list[int]] = []

    def listen(line_ids: list[int], **_: Any) -> None:
        heard.append(line_ids)

    fleet_changed.connect(listen)
    yield heard
    fleet_changed.disconnect(listen)


def line_body(handset: Handset, **more: Any) -> dict[str, Any]:
    return {
        "handset": handset.pk,
        "extension": "4101",
        "domain": "pbx.example",
        "auth_user": "4101",
        "auth_password": SECRET,
        "supervision": "register",
    } | more


def test_a_fleet_is_made_from_nothing_and_registers(asked: APIClient) -> None:
    site_body = {"name": "north", "time_zone": "America/Denver"}
    site = asked.post("/api/v1/sites/", site_body, format="json").json()
    group = asked.post("/api/v1/groups/", {"name": "ward", "expires": 60}, format="json").json()
    for address in ("127.0.0.2", "127.0.0.3"):
        body = {"group": group["id"], "address": address}
        assert asked.post("/api/v1/servers/", body, format="json").status_code == 201
    handset = asked.post(
        "/api/v1/handsets/",
        {"mac": "00:90:7A:00:00:01", "group": group["id"], "site": site["id"], "tags": ["icu"]},
        format="json",
    ).json()
    assert handset["mac"] == "00907a000001"
    line = asked.post("/api/v1/lines/", line_body(Handset.objects.get()), format="json")
    assert line.status_code == 201
    registration = Registration.objects.get()
    assert registration.line_id == line.json()["id"]
    assert registration.state == State.REGISTERING
    assert registration.due_at is not None
    assert registration.due_at <= timezone.now() + timedelta(seconds=1)
    assert asked.get(f"/api/v1/handsets/{handset['id']}/").json()["lines"] == [line.json()["id"]]


def test_a_password_goes_in_encrypted_and_never_comes_out(asked: APIClient) -> None:
    line = make_line(make_group())
    body = line_body(line.handset, number=2)
    made = asked.post("/api/v1/lines/", body, format="json")
    url = f"/api/v1/lines/{made.json()['id']}/"
    answers = [
        made,
        asked.get(url),
        asked.get("/api/v1/lines/"),
        asked.put(url, body, format="json", headers={"If-Match": "*"}),
        asked.patch(url, {"auth_password": f"{SECRET} 2"}, format="json"),
        asked.post("/api/v1/lines/", body, format="json"),
    ]
    for answer in answers:
        assert SECRET not in answer.content.decode()
        assert "auth_password" not in answer.content.decode()
    assert Line.objects.get(pk=made.json()["id"]).auth_password == f"{SECRET} 2"
    with connection.cursor() as cursor:
        cursor.execute("SELECT auth_password FROM fleet_line")
        assert all(SECRET not in stored for (stored,) in cursor.fetchall())


def test_a_change_that_does_not_name_the_password_keeps_it(asked: APIClient) -> None:
    line = make_line(make_group())
    url = f"/api/v1/lines/{line.pk}/"
    body = line_body(line.handset, domain="other.example")
    del body["auth_password"]
    whole = asked.put(url, body, format="json", headers={"If-Match": "*"})
    assert whole.status_code == 200
    assert asked.patch(url, {"extension": "4999"}, format="json").status_code == 200
    line.refresh_from_db()
    assert (line.domain, line.extension) == ("other.example", "4999")
    assert line.auth_password == SECRET


def test_a_password_keeps_its_spaces(asked: APIClient) -> None:
    line = make_line(make_group())
    asked.patch(f"/api/v1/lines/{line.pk}/", {"auth_password": " spaced "}, format="json")
    line.refresh_from_db()
    assert line.auth_password == " spaced "


@pytest.mark.parametrize(
    ("path", "change", "field"),
    [
        ("sites", {"name": "not a slug"}, "name"),
        ("sites", {"time_zone": "Mars/Olympus"}, "time_zone"),
        ("groups", {"mode": "hope"}, "mode"),
        ("groups", {"name": ""}, "name"),
        ("groups", {"expires": 9}, "expires"),
        ("groups", {"fail_back_timeout": 30}, "fail_back_timeout"),
        ("groups", {"fail_back_mode": "sometimes"}, "fail_back_mode"),
        ("groups", {"mode": "fallback", "re_register_on": True}, "re_register_on"),
        ("servers", {"address": "pbx example"}, "address"),
        ("servers", {"address": "127.0.0.3"}, "address"),
        ("servers", {"port": 70_000}, "port"),
        ("servers", {"priority": 5}, "priority"),
        ("servers", {"priority": 0}, "priority"),
        ("servers", {"transport": "smoke"}, "transport"),
        ("servers", {"tls_name": "*.example"}, "tls_name"),
        ("groups", {"tls_ca": "pbx.pem"}, "tls_ca"),
        ("groups", {"tls_certificate": "pbx.pem"}, "tls_certificate"),
        ("servers", {"lost_features": "voicemail"}, "lost_features"),
        ("handsets", {"mac": "00907a"}, "mac"),
        ("handsets", {"mac": "00907a00000g"}, "mac"),
        ("handsets", {"group": 987654}, "group"),
        ("handsets", {"tags": [{"not": "a word"}]}, "tags"),
        ("lines", {"supervision": "maybe"}, "supervision"),
        ("lines", {"number": 0}, "number"),
        ("lines", {"extension": ""}, "extension"),
        ("lines", {"extension": "4101@evil"}, "extension"),
        ("lines", {"domain": "not a host"}, "domain"),
        ("lines", {"number": 100}, "number"),
    ],
)
def test_a_wrong_value_is_refused_by_field(
    asked: APIClient, path: str, change: dict[str, Any], field: str
) -> None:
    group = make_group()
    line = make_line(group)
    server = group.servers.get(priority=1)
    pk = {
        "sites": line.handset.site_id,
        "groups": group.pk,
        "servers": server.pk,
        "handsets": line.handset_id,
        "lines": line.pk,
    }[path]
    answer = asked.patch(f"/api/v1/{path}/{pk}/", change, format="json")
    assert answer.status_code == 400
    assert set(answer.json()) == {field}


def test_supervision_is_never_a_default(asked: APIClient) -> None:
    body = line_body(make_line(make_group()).handset, number=2)
    del body["supervision"]
    answer = asked.post("/api/v1/lines/", body, format="json")
    assert answer.status_code == 400
    assert set(answer.json()) == {"supervision"}


def test_the_sentence_for_a_wrong_mode_is_the_files(asked: APIClient) -> None:
    group = make_group(re_register_on=True)
    answer = asked.patch(f"/api/v1/groups/{group.pk}/", {"mode": "fallback"}, format="json")
    assert "applies only to failover groups" in answer.json()["re_register_on"][0]


def test_a_group_needs_one_server_that_takes_registrations(asked: APIClient) -> None:
    group = make_group(servers=2)
    first, second = group.servers.order_by("priority")
    off = {"register": False}
    assert asked.patch(f"/api/v1/servers/{second.pk}/", off, format="json").status_code == 200
    refused = asked.patch(f"/api/v1/servers/{first.pk}/", off, format="json")
    assert set(refused.json()) == {"register"}
    make_line(group)
    assert asked.delete(f"/api/v1/servers/{first.pk}/").status_code == 409


def test_who_authenticates_as_the_extension_need_not_say_so(asked: APIClient) -> None:
    body = line_body(make_line(make_group()).handset, number=2)
    del body["auth_user"]
    assert asked.post("/api/v1/lines/", body, format="json").json()["auth_user"] == "4101"


def test_a_mac_is_one_handsets_however_it_is_typed(asked: APIClient) -> None:
    handset = make_line(make_group()).handset
    typed = "-".join(handset.mac[n : n + 2].upper() for n in range(0, 12, 2))
    body = {"mac": typed, "group": handset.group_id, "site": handset.site_id}
    answer = asked.post("/api/v1/handsets/", body, format="json")
    assert answer.status_code == 400
    assert "already" in answer.json()["mac"][0]
    same = asked.patch(f"/api/v1/handsets/{handset.pk}/", {"mac": typed}, format="json")
    assert same.status_code == 200


def priorities(group: ServerGroup) -> list[tuple[int, str]]:
    servers = Server.objects.filter(group=group).order_by("priority")
    return [(s.priority, s.address) for s in servers]


def test_servers_make_room_for_each_other(asked: APIClient) -> None:
    group = make_group(servers=3)
    last = group.servers.get(priority=3)
    moved = asked.patch(f"/api/v1/servers/{last.pk}/", {"priority": 1}, format="json")
    assert moved.json()["priority"] == 1
    assert priorities(group) == [(1, "127.0.0.4"), (2, "127.0.0.2"), (3, "127.0.0.3")]
    body = {"group": group.pk, "address": "127.0.0.9", "priority": 2}
    assert asked.post("/api/v1/servers/", body, format="json").json()["priority"] == 2
    assert [address for _, address in priorities(group)] == [
        *("127.0.0.4", "127.0.0.9", "127.0.0.2", "127.0.0.3")
    ]


def test_a_group_keeps_a_primary_when_its_first_server_goes(asked: APIClient) -> None:
    group = make_group(servers=3)
    make_line(group)
    first = group.servers.get(priority=1)
    assert asked.delete(f"/api/v1/servers/{first.pk}/").status_code == 204
    assert priorities(group) == [(1, "127.0.0.3"), (2, "127.0.0.4")]


def test_a_group_has_at_most_eight_servers(asked: APIClient) -> None:
    group = make_group(servers=8)
    body = {"group": group.pk, "address": "127.0.0.99"}
    answer = asked.post("/api/v1/servers/", body, format="json")
    assert answer.status_code == 400
    assert "at most 8" in answer.json()["group"][0]


def test_a_form_which_cannot_leave_a_switch_unsaid_is_not_read(asked: APIClient) -> None:
    body = {"group": make_group().pk, "address": "127.0.0.9"}
    assert asked.post("/api/v1/servers/", body, format="multipart").status_code == 415


def test_a_server_stays_in_its_group(asked: APIClient) -> None:
    server, other = make_group("ward").servers.first(), make_group("lab")
    assert server is not None
    answer = asked.patch(f"/api/v1/servers/{server.pk}/", {"group": other.pk}, format="json")
    assert set(answer.json()) == {"group"}


@pytest.mark.parametrize("kind", ["groups", "sites"])
def test_what_handsets_depend_on_is_not_deleted(asked: APIClient, kind: str) -> None:
    group, site = make_group("ward"), make_site("north")
    make_line(group, site)
    make_line(group, site)
    pk = {"groups": group.pk, "sites": site.pk}[kind]
    answer = asked.delete(f"/api/v1/{kind}/{pk}/")
    assert answer.status_code == 409
    assert "cannot be deleted: it has 2 handsets." in answer.json()["detail"]
    assert Handset.objects.count() == 2


def test_the_last_server_of_a_group_in_use_is_not_deleted(asked: APIClient) -> None:
    group = make_group(servers=1)
    make_line(group)
    server = group.servers.get()
    answer = asked.delete(f"/api/v1/servers/{server.pk}/")
    assert answer.status_code == 409
    assert "last one of group ward" in answer.json()["detail"]


def test_what_nobody_uses_is_deleted(asked: APIClient) -> None:
    group, site = make_group(), make_site("north")
    assert asked.delete(f"/api/v1/groups/{group.pk}/").status_code == 204
    assert asked.delete(f"/api/v1/sites/{site.pk}/").status_code == 204
    assert not ServerGroup.objects.exists()
    assert not Site.objects.filter(name="north").exists()


def test_deleting_a_handset_ends_its_registration(asked: APIClient) -> None:
    group = make_group()
    line = make_line(group)
    asked.patch(f"/api/v1/lines/{line.pk}/", {"extension": "4999"}, format="json")
    assert Registration.objects.count() == 1
    assert asked.delete(f"/api/v1/handsets/{line.handset_id}/").status_code == 204
    assert not Registration.objects.exists()


def test_a_change_that_matters_is_announced_to_whom_it_concerns(
    asked: APIClient, announced: list[list[int]]
) -> None:
    ward, lab = make_group("ward"), make_group("lab")
    mine, other = make_line(ward), make_line(lab)
    server = ward.servers.get(priority=2)
    changes: list[tuple[str, dict[str, Any], list[int]]] = [
        (f"groups/{ward.pk}", {"expires": 120}, [mine.pk]),
        (f"servers/{server.pk}", {"address": "127.0.0.77"}, [mine.pk]),
        (f"servers/{server.pk}", {"priority": 1}, [mine.pk]),
        (f"handsets/{mine.handset_id}", {"group": lab.pk}, [mine.pk]),
        (f"lines/{other.pk}", {"auth_password": "new"}, [other.pk]),
        (f"lines/{other.pk}", {"supervision": "off"}, [other.pk]),
    ]
    for path, body, expected in changes:
        announced.clear()
        assert asked.patch(f"/api/v1/{path}/", body, format="json").status_code == 200
        assert announced == [expected], path
    announced.clear()
    asked.delete(f"/api/v1/servers/{server.pk}/")
    assert announced == [], "nobody is left in that group"


def test_a_new_name_wakes_nobody(asked: APIClient, announced: list[list[int]]) -> None:
    group = make_group()
    line = make_line(group)
    for path, body in (
        (f"groups/{group.pk}", {"name": "Ward 5"}),
        (f"handsets/{line.handset_id}", {"name": "Nurse", "tags": ["icu"]}),
        (f"sites/{line.handset.site_id}", {"time_zone": "America/Denver"}),
        (f"lines/{line.pk}", {"extension": line.extension}),
    ):
        assert asked.patch(f"/api/v1/{path}/", body, format="json").status_code == 200
    assert announced == []


def test_a_policy_change_reaches_the_registrations_at_once(asked: APIClient) -> None:
    group = make_group()
    line = make_line(group)
    asked.patch(f"/api/v1/lines/{line.pk}/", {"domain": "other.example"}, format="json")
    later = timezone.now() + timedelta(hours=1)
    Registration.objects.update(due_at=later, state=State.PRIMARY)
    asked.patch(f"/api/v1/groups/{group.pk}/", {"expires": 120}, format="json")
    registration = Registration.objects.get()
    assert registration.due_at is not None
    assert registration.due_at <= timezone.now() + timedelta(seconds=1)
    assert registration.state == State.PRIMARY


def test_lists_are_filtered(asked: APIClient) -> None:
    ward, lab = make_group("ward"), make_group("lab", mode="fallback")
    north = make_site("north")
    mine = make_line(ward, north, name="Ward nurse", extension="4101")
    other = make_line(lab, name="Lab", extension="5202", supervision="off")

    def found(query: str) -> list[int]:
        return [row["id"] for row in asked.get(f"/api/v1/{query}").json()["results"]]

    assert found(f"handsets/?group={ward.pk}") == [mine.handset_id]
    assert found(f"handsets/?site={north.pk}") == [mine.handset_id]
    assert found("handsets/?q=lab") == [other.handset_id]
    assert found("handsets/?q=5202") == [other.handset_id]
    typed = ":".join(mine.handset.mac[n : n + 2] for n in range(0, 12, 2)).upper()
    assert found(f"handsets/?mac={typed}") == [mine.handset_id]
    assert found(f"handsets/?q={typed}") == [mine.handset_id]
    assert found("lines/?supervision=off") == [other.pk]
    assert found(f"lines/?group={ward.pk}&group={lab.pk}") == [mine.pk, other.pk]
    assert found(f"lines/?handset={mine.handset_id}") == [mine.pk]
    assert found("groups/?mode=fallback") == [lab.pk]
    assert found(f"servers/?group={lab.pk}") == list(
        lab.servers.order_by("pk").values_list("pk", flat=True)
    )
    assert found("sites/?q=nor") == [north.pk]
    assert asked.get("/api/v1/handsets/?group=987654").status_code == 400


def test_a_handset_with_two_matching_lines_is_listed_once(asked: APIClient) -> None:
    line = make_line(make_group(), extension="4101")
    asked.post("/api/v1/lines/", line_body(line.handset, number=2), format="json")
    assert asked.get("/api/v1/handsets/?q=4101").json()["count"] == 1


def test_a_password_cannot_be_searched_for(asked: APIClient) -> None:
    make_line(make_group())
    assert asked.get("/api/v1/lines/?q=secret").json()["count"] == 0
    refused = asked.get("/api/v1/lines/?auth_password=x")
    assert (refused.status_code, list(refused.json())) == (400, ["auth_password"])


def test_lists_cost_the_same_queries_for_few_and_for_many(
    asked: APIClient, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        group = make_group(f"ward {number}")
        for _ in range(5):
            make_line(group, make_site(f"site-{number}"))
    for kind in ("sites", "groups", "servers", "handsets", "lines"):
        # Token and user, role, count, rows, and what is nested in them.
        with django_assert_max_num_queries(6):
            assert asked.get(f"/api/v1/{kind}/?page_size=1000").json()["count"] >= 5


def test_a_server_may_be_reached_over_tls_and_its_group_says_whom_to_trust(
    asked: APIClient,
) -> None:
    trusted = Authority().certificate
    group = make_group()
    server = group.servers.get(priority=1)
    said = {"transport": "TLS", "tls_name": "PBX.example"}
    answer = asked.patch(f"/api/v1/servers/{server.pk}/", said, format="json")
    assert answer.json()["transport"] == "tls"
    assert answer.json()["tls_name"] == "pbx.example"
    url = f"/api/v1/groups/{group.pk}/"
    assert asked.patch(url, {"tls_ca": trusted}, format="json").json()["tls_ca"] == trusted
    assert asked.patch(url, {"tls_ca": ""}, format="json").json()["tls_ca"] == ""
