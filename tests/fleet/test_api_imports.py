"""Importing through the API: all of it or nothing, every fault by file, row and field."""

from io import BytesIO
from typing import Any

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from fleet import api_imports
from fleet.models import Handset, Line, ServerGroup, Site
from fleet.roles import Role
from registrations.models import Registration
from tests.support import trees
from tests.support.rows import make_token, make_user

pytestmark = pytest.mark.django_db

FLEET = """
sites: [{name: main, time_zone: America/Denver}]
groups:
  - name: ward
    mode: failover
    servers: [{address: 127.0.0.2}, {address: 127.0.0.3}]
handsets:
  - {mac: 00907a000001, extension: "4101", domain: pbx.example, auth_password: very secret,
     group: ward, site: main, supervision: register}
"""
TABLE = (
    "mac,extension,domain,group,site,supervision\n"
    "00907a000002,4102,pbx.example,ward,main,register\n"
)


@pytest.fixture
def asked() -> APIClient:
    client = APIClient()
    token = make_token(make_user("carla", Role.CONFIGURER))
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def upload(name: str, text: str) -> BytesIO:
    file = BytesIO(text.encode())
    file.name = name
    return file


def post(asked: APIClient, body: dict[str, Any], kind: str = "json") -> Any:
    return asked.post(reverse("api-import"), body, format=kind)


def test_a_fleet_file_as_json_makes_a_fleet_that_registers(asked: APIClient) -> None:
    answer = post(asked, {"name": "fleet.yaml", "text": FLEET})
    assert answer.status_code == 200
    report = answer.json()
    assert set(report) == set(api_imports.ImportReport().fields)
    assert report["dry_run"] is False
    assert report["handsets"] == {"created": 1, "changed": 0, "unchanged": 0}
    assert Registration.objects.get().line == Line.objects.get()
    again = post(asked, {"name": "fleet.yaml", "text": FLEET}).json()
    assert again["lines"] == {"created": 0, "changed": 0, "unchanged": 1}


def test_several_files_of_a_form_are_one_import(asked: APIClient) -> None:
    files = [upload("handsets.csv", TABLE), upload("fleet.yaml", FLEET)]
    answer = post(asked, {"file": files}, "multipart")
    assert answer.status_code == 200, answer.content
    assert Handset.objects.count() == 2


@pytest.mark.parametrize("kind", ["json", "multipart"])
def test_a_dry_run_says_what_would_be_and_changes_nothing(asked: APIClient, kind: str) -> None:
    body: dict[str, Any] = (
        {"name": "fleet.yaml", "text": FLEET, "dry_run": True}
        if kind == "json"
        else {"file": upload("fleet.yaml", FLEET), "dry_run": "true"}
    )
    answer = post(asked, body, kind)
    assert answer.status_code == 200
    assert answer.json()["dry_run"] is True
    assert answer.json()["groups"]["created"] == 1
    assert not Site.objects.exists()
    assert not ServerGroup.objects.exists()
    assert not Registration.objects.exists()


def test_every_fault_of_every_file_is_listed_and_nothing_changed(asked: APIClient) -> None:
    table = TABLE + "nonsense,41 02,pbx.example,nowhere,main,perhaps\n"
    files = [upload("handsets.csv", table), upload("fleet.yaml", FLEET)]
    answer = post(asked, {"file": files}, "multipart")
    assert answer.status_code == 400
    faults = answer.json()["faults"]
    assert {(f["file"], f["row"], f["field"]) for f in faults} == {
        ("handsets.csv", 3, field) for field in ("mac", "extension", "group", "supervision")
    }
    assert all(set(f) == {"file", "row", "field", "message"} and f["message"] for f in faults)
    assert answer.json()["detail"] == "Nothing was imported: 4 faults."
    assert not Handset.objects.exists()


def test_no_answer_repeats_a_password(asked: APIClient) -> None:
    for text in (FLEET, FLEET.replace("register}", "register, pin: 1}")):
        answer = post(asked, {"name": "fleet.yaml", "text": text})
        assert "very secret" not in answer.content.decode()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"name": "fleet.yaml"}, "text"),
        ({"name": "", "text": FLEET}, "name"),
        ({"name": "fleet.yaml", "text": FLEET, "dry_run": "perhaps"}, "dry_run"),
    ],
)
def test_a_request_without_a_file_is_refused_by_field(
    asked: APIClient, body: dict[str, Any], field: str
) -> None:
    answer = post(asked, body)
    assert answer.status_code == 400
    assert field in answer.json()
    assert not Site.objects.exists()


def test_a_form_with_a_wrong_switch_changes_nothing(asked: APIClient) -> None:
    body = {"file": upload("fleet.yaml", FLEET), "dry_run": "perhaps"}
    assert set(post(asked, body, "multipart").json()) == {"dry_run"}
    assert not Site.objects.exists()


def test_too_much_at_once_is_refused_before_it_is_read(
    asked: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_imports, "MAX_TOGETHER", 10)
    answer = post(asked, {"name": "fleet.yaml", "text": FLEET})
    assert answer.status_code == 413
    assert "MiB" in answer.json()["detail"]


def test_what_is_right_is_imported_without_the_rest_on_request(asked: APIClient) -> None:
    post(asked, {"name": "fleet.yaml", "text": FLEET})
    body = {"name": "h.csv", "text": TABLE + "zz,1,pbx.example,ward,main,off\n", "partial": True}
    report = post(asked, body).json()
    assert report["handsets"] == {"created": 1, "changed": 0, "unchanged": 0}
    assert report["starting"] == 1
    assert [(fault["row"], fault["field"]) for fault in report["left_out"]] == [(3, "mac")]


def test_handset_configuration_says_what_is_worth_knowing(asked: APIClient) -> None:
    Site.objects.create(name="north")
    Site.objects.create(name="south")
    files = [upload(name, data.decode()) for name, data in trees.spectralink()]
    answer = post(asked, {"file": files, "site": "south"}, "multipart")
    assert answer.status_code == 200, answer.content
    assert Handset.objects.get().site.name == "south"
    assert answer.json()["starting"] == 0
    assert answer.json()["notes"][0]["field"] == "voIpProt.server.1.failOver.reRegisterOn"
