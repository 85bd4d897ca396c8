"""Servers by name and a group's own DNS records over the API."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from fleet.models import DnsRecord, Server
from fleet.roles import Role
from registrations.models import Registration, State
from tests.support.rows import make_group, make_registration, make_token, make_user

pytestmark = pytest.mark.django_db

SRV = {
    "type": "SRV",
    "name": "_sip._udp.pbx.example",
    "ttl": 600,
    "priority": 1,
    "weight": 10,
    "port": 5060,
    "target": "a.pbx.example",
}
A = {"type": "A", "name": "a.pbx.example", "ttl": 300, "address": "192.0.2.10"}


@pytest.fixture
def asked() -> APIClient:
    client = APIClient()
    token = make_token(make_user("admin", Role.CONFIGURER))
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def test_a_server_by_name_leaves_its_port_to_dns(asked: APIClient) -> None:
    group = make_group(servers=1)
    given: dict[str, Any] = {"group": group.pk, "address": "PBX.example."}
    answer = asked.post("/api/v1/servers/", given, format="json")
    assert answer.status_code == 201, answer.content
    server = Server.objects.get(pk=answer.json()["id"])
    assert (server.address, server.port, str(server)) == ("pbx.example", 0, "pbx.example")
    given = {"group": group.pk, "address": "192.0.2.10"}
    assert asked.post("/api/v1/servers/", given, format="json").json()["port"] == 5060


def test_what_is_written_as_dns_cache_replaces_it_and_is_read_back(asked: APIClient) -> None:
    group = make_group()
    path = f"/api/v1/groups/{group.pk}/"
    assert asked.get(path).json()["dns_cache"] == []
    answer = asked.patch(path, {"dns_cache": [SRV, A]}, format="json")
    assert answer.status_code == 200, answer.content
    assert answer.json()["dns_cache"] == [SRV, A]
    assert asked.get(path).json()["dns_cache"] == [SRV, A]
    assert asked.patch(path, {"expires": 300}, format="json").json()["dns_cache"] == [SRV, A]
    assert asked.patch(path, {"dns_cache": []}, format="json").json()["dns_cache"] == []
    assert not DnsRecord.objects.exists()


def test_a_wrong_record_is_refused_by_position_and_field(asked: APIClient) -> None:
    group = make_group()
    wrong = [A, {**A, "address": "::1"}, {"type": "MX"}]
    answer = asked.patch(f"/api/v1/groups/{group.pk}/", {"dns_cache": wrong}, format="json")
    assert answer.status_code == 400
    faults = answer.json()["dns_cache"]
    assert faults[0] == {}
    assert "IPv4" in faults[1]["address"][0]
    assert "A, SRV or NAPTR" in faults[2]["type"][0]
    assert not DnsRecord.objects.exists()


@pytest.mark.parametrize("given", ["text", {"type": "A"}, ["text"], 5])
def test_what_is_no_list_of_records_is_refused(asked: APIClient, given: object) -> None:
    group = make_group()
    answer = asked.patch(f"/api/v1/groups/{group.pk}/", {"dns_cache": given}, format="json")
    assert answer.status_code == 400
    assert "dns_cache" in answer.json()


def test_other_records_reach_the_agents_at_once(asked: APIClient) -> None:
    row = make_registration(make_group(), State.PRIMARY)
    path = f"/api/v1/groups/{row.group_id}/"

    def wakes(change: dict[str, Any]) -> bool:
        Registration.objects.update(wish="")
        assert asked.patch(path, change, format="json").status_code == 200
        return Registration.objects.get(pk=row.pk).wish == "resume"

    assert wakes({"dns_cache": [A]})
    assert not wakes({"dns_cache": [A]}), "they were so already"
    assert wakes({"dns_cache": []})
