"""What a change of a group would do, told by the API as the form and the dialog tell it."""

import re
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client
from rest_framework.test import APIClient

from fleet.models import ServerGroup
from fleet.roles import Role
from registrations.models import Registration, State
from tests.support.rows import make_group, make_registration, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked() -> APIClient:
    client = APIClient()
    client.force_authenticate(make_user("carla", Role.CONFIGURER))
    return client


def preview(asked: APIClient, group: ServerGroup, **change: Any) -> Any:
    answer = asked.post(f"/api/v1/groups/{group.pk}/preview/", change, format="json")
    assert answer.status_code == 200, answer.content
    return answer.json()


def sentences(told: Any) -> str:
    return " ".join(sentence for step in told["steps"] for sentence in step["sentences"])


def ids(group: ServerGroup) -> list[int]:
    return list(group.servers.order_by("priority").values_list("pk", flat=True))


def test_it_says_what_the_forms_preview_says_and_sets_nothing(asked: APIClient) -> None:
    group = make_group(max_registrations_per_second=2)
    row = make_registration(group, State.PRIMARY)
    before = Registration.objects.get(pk=row.pk).wish_version
    entries = LogEntry.objects.get_for_object(group).count()
    change = {"retry_timeout": 500, "failOver.reRegisterOn": "1"}
    told = preview(asked, group, **change)
    assert "gives the server up at 2 s" in sentences(told)
    assert told["outages"][0]["handsets"] == 1 and told["caveat"]
    page = Client()
    page.force_login(make_user("olga", Role.CONFIGURER))
    form = {"name": "ward", "mode": "failover", "retry_timeout": "500", "re_register_on": "true"}
    shown = page.get(f"/groups/{group.pk}/edit/", form, headers={"HX-Request": "true"})
    words = re.sub(r"<[^>]+>", " ", shown.content.decode()).replace("&#x27;", "'")
    for step in told["steps"]:
        assert step["title"] in words
    assert (
        preview(asked, group)["warnings"]
        != preview(asked, group, shares_registrations=True)["warnings"]
    )
    group.refresh_from_db()
    assert (group.retry_timeout, group.re_register_on) == (0, False)
    assert Registration.objects.get(pk=row.pk).wish_version == before
    assert LogEntry.objects.get_for_object(group).count() == entries


def test_another_primary_is_told_with_who_goes_there_and_how_fast(asked: APIClient) -> None:
    group = make_group(servers=3, max_registrations_per_second=2)
    for _ in range(20):
        make_registration(group, State.PRIMARY)
    make_registration(group, State.PRIMARY, supervision="observe")
    first, second, third = ids(group)
    told = preview(asked, group, order=[second, first, third])
    assert told["new_primary"] == {
        "before": first,
        "after": second,
        "lines": 20,
        "watched": 1,
        "homeward": "Offers its next renewal to the primary first.",
        "at_least_seconds": 10.0,
    }
    assert "Registers with 127.0.0.3:5060 alone; 127.0.0.2:5060 and" in sentences(told)
    dead = next(each for each in told["outages"] if each["server"] == first)
    assert dead["lands_on"] == second, "a round begins with the new primary"
    below = preview(asked, group, order=[first, third, second])
    assert below["new_primary"] is None
    dead = next(each for each in below["outages"] if each["server"] == first)
    assert dead["lands_on"] == third
    assert ids(group) == [first, second, third]


def test_records_of_its_own_are_counted_as_if_they_were_there(asked: APIClient) -> None:
    group = make_group(servers=0)
    server = {"group": group.pk, "address": "pbx.example"}
    assert asked.post("/api/v1/servers/", server, format="json").status_code == 201
    record = {"type": "A", "name": "pbx.example", "address": "192.0.2.10"}
    assert any("must be asked of DNS" in said for said in preview(asked, group)["warnings"])
    told = preview(asked, group, dns_cache=[record])
    assert not any("must be asked of DNS" in said for said in told["warnings"])
    assert not group.dns_records.exists()


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"fail_back_timeout": 30}, "fail_back_timeout", "must be 0 or 60 to 65535"),
        ({"mode": "fallback", "re_register_on": True}, "re_register_on", "only to failover"),
        ({"order": []}, "order", "each server of the group once"),
        ({"order": [0, 0]}, "order", "each server of the group once"),
        ({"expries": 60}, "expries", "There is no such field."),
    ],
)
def test_what_the_change_would_refuse_is_refused_here(
    asked: APIClient, change: dict[str, Any], field: str, said: str
) -> None:
    answer = asked.post(f"/api/v1/groups/{make_group().pk}/preview/", change, format="json")
    assert answer.status_code == 400
    assert said in answer.json()[field][0]
