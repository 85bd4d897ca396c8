"""Binding truth: what contradicts what is believed is found, told with what to do, and no more."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fleet.models import Line, ServerGroup
from fleet.roles import Role
from registrations import queries
from registrations.models import Registration, State
from registrations.shown import findings
from tests.support import rows

pytestmark = pytest.mark.django_db

PHONE = "sip:4001@10.1.2.3:5060"


def soon(minutes: float = 30) -> datetime:
    return timezone.now() + timedelta(minutes=minutes)


def on_primary(**more: Any) -> Registration:
    """A line registered by its agent half an hour ago, listed by its primary alone."""
    facts = {"expires_at": soon(), "heard_at": timezone.now() - timedelta(minutes=30)}
    line = rows.make_registration(rows.make_group(**more), State.PRIMARY, **facts)
    rows.make_proof(line, 1, "proved", own_until=line.expires_at)
    rows.make_proof(line, 2, "proved")
    return line


def listing(*uris: str, until: datetime | None = None) -> dict[str, Any]:
    ends = until or soon()
    return {"contacts": [[uri, ends.timestamp()] for uri in uris], "others_until": ends}


def found() -> list[tuple[str, int]]:
    return [(each.kind, each.server.priority) for each in queries.findings(timezone.now())]


def test_nothing_is_found_where_registrars_list_what_is_believed() -> None:
    on_primary()
    assert found() == []


def test_somebody_else_on_our_address_of_record_is_found_on_every_server() -> None:
    line = on_primary()
    rows.make_proof(line, 2, "proved", **listing(PHONE))
    assert found() == [("foreign", 2)]
    rows.make_proof(line, 2, "proved", **listing(PHONE, until=soon(-1)))
    assert found() == [], "that one has run out"


def test_a_registration_that_its_server_does_not_list_is_missing() -> None:
    line = on_primary()
    other = rows.make_registration(line.group, State.PRIMARY, expires_at=soon())
    rows.make_proof(other, 1, "proved", own_until=other.expires_at)
    rows.make_proof(line, 1, "proved", own_until=None)
    assert found() == [("missing", 1)]
    Registration.objects.filter(pk=line.pk).update(heard_at=timezone.now())
    assert found() == [], "it was registered anew since the server was asked"


def test_a_registrar_that_lists_nobody_at_all_is_not_held_to_it() -> None:
    line = on_primary()
    rows.make_proof(line, 1, "proved", own_until=None)
    assert found() == []


def test_a_registration_that_ends_before_its_time_is_found() -> None:
    line = on_primary()
    rows.make_proof(line, 1, "proved", own_until=soon(5))
    assert found() == [("shortened", 1)]
    rows.make_proof(line, 1, "proved", own_until=line.expires_at - timedelta(seconds=20))
    assert found() == [], "looks and clocks differ by a little"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, [("twice", 1)]),
        ({"shares_registrations": True}, []),
        ({"mode": "fallback"}, []),
    ],
)
def test_two_bindings_are_told_only_where_one_is_meant(
    policy: dict[str, Any], expected: list[tuple[str, int]]
) -> None:
    line = on_primary(**policy)
    rows.make_proof(line, 2, "proved", own_until=soon())
    assert found() == expected


def test_a_real_phone_is_no_stranger_on_its_own_line_but_our_leftover_is() -> None:
    line = on_primary()
    Line.objects.update(supervision="observe")
    rows.make_proof(line, 1, "proved", is_observed=True, own_until=None, **listing(PHONE))
    assert found() == []
    rows.make_proof(line, 1, "proved", is_observed=True, own_until=soon(), **listing(PHONE))
    assert found() == [("leftover", 1)]


def test_a_registrar_that_grants_far_less_than_is_asked_is_found_until_it_grants_more() -> None:
    line = on_primary(expires=3600)
    granted = {"granted_s": 60, "granted_until": line.expires_at}
    rows.make_proof(line, 1, "proved", own_until=line.expires_at, **granted)
    assert found() == [("brief", 1)]
    [finding] = queries.in_full(queries.findings(timezone.now()))
    told = findings.told(queries.finding_row(finding), "UTC")
    assert "grants a registration for 1 min where 1 h is asked for." in told["sentence"]
    Registration.objects.update(expires_at=soon(60), heard_at=timezone.now())
    assert found() == [], "a later grant lasts longer"
    Registration.objects.update(expires_at=line.expires_at)
    ServerGroup.objects.update(expires=90)
    assert found() == [], "no more is asked for any more"


def test_page_and_api_say_what_is_so_and_what_to_do(client: Client) -> None:
    line = on_primary()
    rows.make_proof(line, 2, "proved", **listing(PHONE))
    viewer = rows.make_user(role=Role.VIEWER)
    client.force_login(viewer)
    page = client.get("/readiness/findings/?kind=foreign").content.decode()
    assert f"127.0.0.3:5060 lists {PHONE}, which is not Rollcall&#x27;s." in page
    assert "Find out whose it is." in page
    assert "Nothing matches" in client.get("/readiness/findings/?kind=twice").content.decode()
    key = rows.make_token(viewer)
    answer = client.get("/api/v1/findings/", headers={"authorization": f"Token {key}"}).json()
    [row] = answer["results"]
    assert (row["kind"], row["registration"], row["contacts"]) == ("foreign", line.pk, [PHONE])
    assert row["to_do"].startswith("Find out")


@pytest.mark.parametrize("kind", ["foreign", "missing", "shortened", "leftover", "twice", "brief"])
def test_every_kind_has_a_sentence(kind: str) -> None:
    now = queries.moment(timezone.now())
    row = {
        "kind": kind,
        "server_name": "PBX A",
        "contacts": [PHONE],
        "own_until": now,
        "others_until": now,
        "believed_until": now,
        "granted_s": 60,
        "expires": 3600,
    }
    told = findings.told(row, "UTC")
    assert told["sentence"].startswith("PBX A") and told["sentence"].endswith(".")
    assert told["to_do"].endswith(".")
