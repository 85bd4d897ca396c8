"""One id from the click on: who makes it, whose is believed, and where it is told."""

import json
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from structlog.testing import capture_logs

from fleet import request_id
from fleet.models import Site

pytestmark = pytest.mark.django_db

MINE = "from-the-proxy.1"


def test_every_answer_tells_its_id_and_no_two_are_alike(client: Client) -> None:
    told = [client.get("/healthz").headers["X-Request-ID"] for _ in range(2)]
    assert told[0] != told[1] and all(request_id.accepted(each) for each in told)
    assert request_id.current() == ""


def test_only_a_trusted_proxys_id_is_taken(client: Client, settings: Any) -> None:
    def told(given: str) -> str:
        return str(client.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"])

    assert told(MINE) != MINE
    settings.BEHIND_TLS = True
    assert told(MINE) == MINE
    for each in (
        "short",
        "x" * 65,
        "a b c d e f g h",
        'quoted"quoted',
        "new\tline-or-so",
        "über-alles",
    ):
        assert told(each) != each


def test_what_changes_something_is_one_line_with_the_id_and_who(client: Client) -> None:
    client.force_login(User.objects.create_superuser("vera"))
    with capture_logs() as said:
        client.get("/accounts/times/")
        answer = client.post("/accounts/times/", {"zone": "UTC"})
    (line,) = [each for each in said if each["event"] == "POST /accounts/times/"]
    assert (line["user"], line["status"]) == ("vera", answer.status_code)
    assert not [each for each in said if each["event"].startswith("GET")]


def test_the_audit_log_has_the_id(client: Client) -> None:
    client.force_login(User.objects.create_superuser("vera"))
    body = json.dumps({"name": "north", "time_zone": "UTC"})
    answer = client.post("/api/v1/sites/", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    entry = LogEntry.objects.get_for_object(Site.objects.get(name="north")).get()
    assert entry.cid == answer.headers["X-Request-ID"]


def test_an_id_holds_for_what_is_done_under_it_and_no_longer() -> None:
    with request_id.bound("outer-one"):
        with request_id.bound("inner-one"):
            assert request_id.current() == "inner-one"
        assert request_id.current() == "outer-one"
        with request_id.bound(""):
            assert request_id.current() == ""
    assert request_id.current() == ""
