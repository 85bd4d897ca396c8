"""Many handsets at once through the API: by MAC, all faults together, whole or what is right."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from fleet import api_bulk
from fleet.models import Handset, Line
from fleet.roles import Role
from registrations.models import Registration
from tests.support.rows import make_group, make_site, make_token, make_user

pytestmark = pytest.mark.django_db

URL = "/api/v1/handsets/bulk/"


@pytest.fixture
def asked() -> APIClient:
    make_group()
    make_site()
    client = APIClient()
    token = make_token(make_user("carla", Role.CONFIGURER))
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def row(number: int, **more: Any) -> dict[str, Any]:
    return {
        "mac": f"00:90:7a:00:00:{number:02x}",
        "name": f"Nurse {number}",
        "extension": str(4100 + number),
        "domain": "pbx.example",
        "auth_password": "very secret",
        "group": "ward",
        "site": "main",
        "supervision": "register",
        "tags": ["icu"],
    } | more


def send(asked: APIClient, *given: Any, **terms: Any) -> Any:
    return asked.post(URL, {"handsets": list(given), **terms}, format="json")


def test_handsets_are_made_and_then_changed_by_their_mac(asked: APIClient) -> None:
    made = send(asked, row(1), row(2), row(2, line=2, extension="4199"))
    assert made.status_code == 200, made.json()
    assert made.json()["handsets"] == {"created": 2, "changed": 0, "unchanged": 0}
    assert made.json()["lines"]["created"] == made.json()["starting"] == 3
    assert Registration.objects.count() == 3
    assert Handset.objects.get(mac="00907a000001").tags == ["icu"]
    changed = send(asked, {"mac": "00907a000001", "name": "Night nurse"}, {"mac": "00907a000002"})
    assert changed.json()["handsets"] == {"created": 0, "changed": 1, "unchanged": 1}
    assert Handset.objects.get(mac="00907a000001").name == "Night nurse"
    assert Line.objects.get(extension="4101").auth_password == "very secret"
    assert "very secret" not in made.content.decode() + changed.content.decode()


WRONG = (
    row(1),
    row(2, extension="41 02"),
    row(3, group="nowhere", name={"first": "Ann"}),
    "no row",
    row(1),
    row(5, colour="red", supervision=None),
)


def test_all_faults_are_told_at_once_by_row_and_field_and_nothing_is_done(asked: APIClient) -> None:
    answer = send(asked, *WRONG)
    assert answer.status_code == 400
    found = {(fault["row"], fault["field"]) for fault in answer.json()["faults"]}
    assert {
        (2, "extension"),
        (3, "group"),
        (3, "name"),
        (4, "mac"),
        (5, "mac"),
        (6, "colour"),
        (6, "supervision"),
    } <= found
    assert not Handset.objects.exists()


def test_what_is_right_is_taken_without_the_rest_by_choice(asked: APIClient) -> None:
    answer = send(asked, *WRONG[1:4], row(7), partial=True)
    assert answer.status_code == 200, answer.json()
    assert [handset.mac for handset in Handset.objects.all()] == ["00907a000007"]
    assert {fault["row"] for fault in answer.json()["left_out"]} == {1, 2, 3}


def test_a_dry_run_says_what_would_be_and_does_nothing(asked: APIClient) -> None:
    answer = send(asked, row(1), dry_run=True)
    assert answer.json()["handsets"]["created"] == 1
    assert answer.json()["dry_run"]
    assert not Handset.objects.exists()


def test_more_than_are_taken_at_once_are_refused(
    asked: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [row(1)] * (api_bulk.MOST + 1)
    assert send(asked, *many).status_code == 400
    assert send(asked).status_code == 400
