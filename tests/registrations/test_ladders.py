"""One line's SIP trace as people and programs get it: complete, masked, never silently empty."""

from typing import Any

import pytest
import time_machine
from django.test import Client
from rest_framework.test import APIClient

from fleet.roles import Role
from registrations import ring
from registrations.api import trace as api_trace
from registrations.models import Registration
from registrations.shown import ladders
from tests.registrations.trace.wire import NOW
from tests.support.rows import make_group, make_registration, make_user
from tests.support.traces import keep

pytestmark = pytest.mark.django_db


@pytest.fixture
def line() -> Registration:
    return make_registration(make_group(re_register_on=True))


def asked(row: Registration, query: str = "", role: Role | None = Role.VIEWER) -> Any:
    client = APIClient()
    client.force_authenticate(make_user(f"someone-{role}-{query}", role))
    return client.get(f"/api/v1/registrations/{row.pk}/trace/{query}", HTTP_ACCEPT="image/png")


@pytest.mark.usefixtures("live_redis")
class TestWithRedis:
    def test_the_api_tells_tries_transactions_and_what_came_of_them(
        self, line: Registration
    ) -> None:
        keep(line, ())
        keep(line, ("",), (), now=NOW + 60)
        told = asked(line).json()
        assert told["registration"] == line.pk
        assert told["kept_since"] == "2027-01-15T08:00:00.000Z"
        newest, oldest = told["tries"]
        assert newest["verdict"] == (
            "127.0.0.2:5060: Did not answer within 2 s. "
            "127.0.0.3:5060: Took the registration for 60 s."
        )
        silent, challenged, took = newest["transactions"]
        assert (len(silent["sends"]), silent["answers"], silent["end"]) == (4, [], "silent")
        assert [challenged["end"], took["end"]] == ["again", "took"]
        assert took["answers"][0]["code"] == 200
        assert "***" in took["request"] and oldest["at"] < newest["at"]

    def test_the_first_failure_is_compared_with_the_success_before_it(
        self, line: Registration
    ) -> None:
        keep(line, ())
        keep(line, ("503 Service Unavailable",), (), now=NOW + 60)
        [comparison] = asked(line).json()["comparisons"]
        assert comparison["server"]["name"] == "127.0.0.2:5060"
        assert (comparison["success"]["end"], comparison["failure"]["end"]) == ("took", "busy")
        differences = {d["name"]: d["failure"] for d in comparison["differences"]}
        assert differences["Answer"] == "SIP/2.0 503 Service Unavailable"

    def test_the_schema_describes_the_answer(self, line: Registration) -> None:
        keep(line, ())
        keep(line, ("403 Forbidden",), (), now=NOW + 60)
        told = asked(line).json()
        tried, comparison = told["tries"][0], told["comparisons"][0]
        for given, described in (
            (told, api_trace.Trace),
            (tried, api_trace.TraceTry),
            (tried["transactions"][0], api_trace.TraceTransaction),
            (tried["transactions"][0]["answers"][0], api_trace.TraceAnswer),
            (comparison, api_trace.TraceComparison),
        ):
            assert set(given) == set(described().fields)

    def test_as_text_it_is_a_file_with_every_message_and_no_secret(
        self, line: Registration
    ) -> None:
        keep(line, ("",), ())
        response = asked(line, "?format=text")
        assert response["Content-Type"] == "text/plain; charset=utf-8"
        assert f"trace-{line.line.handset.mac}-1-" in response["Content-Disposition"]
        said = response.content.decode()
        assert "2027-01-15 08:00:00.000 UTC (+0.000 s)  to 127.0.0.2:5060" in said
        assert "the same, sent again after 0.5, 1.0, 1.5 s" in said
        assert "silent: The server 127.0.0.2:5060 did not answer within 2 s." in said
        assert said.count("REGISTER sip:pbx.example SIP/2.0") == 3
        assert "SIP/2.0 200 OK" in said and "nonce=***" in said and "token" not in _nonces(said)

    def test_one_servers_part_is_had_alone(self, line: Registration) -> None:
        keep(line, ("",), ())
        second = line.group.servers.last()
        assert second is not None
        told = asked(line, f"?server={second.pk}").json()
        assert {t["server"]["id"] for one in told["tries"] for t in one["transactions"]} == {
            second.pk
        }

    def test_without_any_try_it_says_so_and_since_when_tries_are_kept(
        self, line: Registration
    ) -> None:
        keep(make_registration(line.group), ())
        assert asked(line).json()["tries"] == []
        said = asked(line, "?format=text").content.decode()
        assert "No try of this line is kept." in said
        assert "Tries are kept since 2027-01-15 08:00:00 UTC." in said

    def test_what_was_lost_is_said(self, line: Registration) -> None:
        ring.Writer().tell_lost(ring.Lost(NOW, NOW + 300, 12, "Redis did not answer"))
        assert asked(line).json()["lost"]["tries"] == 12
        lost = ladders.read(line.pk).lost
        with time_machine.travel(NOW + 86_400, tick=False):
            assert ladders.lost_sentence(lost) == (
                "Between 15 Jan 08:00 UTC and 15 Jan 08:05 UTC, 12 tries of the fleet were not "
                "kept: Redis did not answer."
            )

    def test_nonsense_is_refused_and_others_lines_are_not_found(self, line: Registration) -> None:
        assert asked(line, "?format=pcap").status_code == 400
        assert asked(line, "?server=primary").status_code == 400
        line.pk = 999_999
        assert asked(line).status_code == 404


def _nonces(said: str) -> str:
    return "\n".join(row for row in said.splitlines() if "nonce" in row)


def test_without_redis_the_api_says_since_when_instead_of_an_empty_ladder(
    line: Registration,
) -> None:
    response = asked(line)
    assert response.status_code == 503
    assert "The trace is not available" in response.json()["detail"]
    assert response.json()["since"]


def test_who_has_no_role_sees_no_trace(line: Registration) -> None:
    assert asked(line, role=None).status_code == 403
    assert Client().get(f"/api/v1/registrations/{line.pk}/trace/").status_code == 401
