"""Pages as they were: the same addresses with `at`, from the history, and never live."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client

from fleet.models import Line
from fleet.roles import Role
from registrations.models import Registration, ServerChange, State
from tests.support.rows import (
    make_group,
    make_registration,
    make_site,
    make_transition,
    make_user,
)

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 23, 9, 13, tzinfo=UTC)
"""02:13:00 in Denver."""


def get(address: str, role: Role | None = Role.VIEWER) -> Any:
    client = Client()
    client.force_login(make_user(f"user of {address}", role))
    return client.get(address)


def words(address: str) -> str:
    response = get(address)
    assert response.status_code == 200
    body = response.content.decode().partition("<main")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


@pytest.fixture
def row() -> Registration:
    """A line that went to the secondary at START and is home since."""
    site = make_site("denver", time_zone="America/Denver")
    row = make_registration(make_group("ward"), State.PRIMARY, site, name="Nora")
    Line.objects.update(created_at=START - timedelta(days=1))
    mac = row.line.handset.mac
    names = {"mac": mac, "handset_name": "Nora", "site_name": "denver"}
    make_transition(
        row, at=START, to_state="secondary", to_server="PBX B", reason="PBX A fell.", **names
    )
    later = START + timedelta(hours=1)
    make_transition(row, at=later, to_state="primary", to_server="PBX A", reason="Home.", **names)
    return row


AT = "at=2026-11-23T02:13:00"


def pages(row: Registration) -> list[str]:
    handset = row.line.handset_id
    return ["/", "/handsets/", f"/handsets/{handset}/", f"/groups/{row.group_id}/"]


def test_each_page_says_at_what_time_it_is_and_that_it_is_not_live(row: Registration) -> None:
    for page in pages(row):
        said = words(f"{page}?{AT}")
        assert "As it was at 23 Nov 02:13:00 MST , not live." in said, page
        assert "PBX B" in said, page


def test_no_page_of_the_past_is_patched_by_the_live_socket(row: Registration) -> None:
    for page in pages(row):
        body = get(f"{page}?{AT}").content.decode()
        for mark in ("live-state", "data-registration-id", "data-summary", "data-live-feed"):
            assert mark not in body, (page, mark)


def test_a_second_earlier_it_stood_elsewhere(row: Registration) -> None:
    assert "1 unknown" in words("/?at=2026-11-23T02:12:59")
    assert "1 on secondary" in words(f"/?{AT}")
    assert "1 of 1 were on primary" in words("/?at=2026-11-23T03:13:00")


def test_changes_after_then_are_not_told(row: Registration) -> None:
    assert "Home." not in words(f"/?{AT}")
    assert "Home." in words("/?at=2026-11-23T03:13:00")


def test_the_list_is_filtered_as_it_was(row: Registration) -> None:
    query = f"/handsets/?{AT}&group={row.group_id}&site={row.site_id}&q=nora+pbx"
    assert "Nora" in words(f"{query}&state=secondary")
    assert "No handset matches" in words(f"{query}&state=primary")


def test_steps_and_the_way_back_keep_the_filter(row: Registration) -> None:
    body = unescape(get(f"/handsets/?{AT}&state=secondary").content.decode())
    assert "?state=secondary&at=2026-11-23T02%3A03%3A00-07%3A00" in body
    assert 'href="?state=secondary"' in body


def test_a_removed_handset_is_still_there(row: Registration) -> None:
    row.line.handset.delete()
    said = words(f"/handsets/?{AT}")
    assert "Nora Removed since" in said


@pytest.mark.parametrize("at", ["", "soon", "1066-10-14T09:00", "2026-11-23T02:13:00+99:00"])
def test_what_is_no_time_leads_to_now(row: Registration, at: str) -> None:
    for page in pages(row):
        response = get(f"{page}?at={at}")
        assert (response.status_code, response["Location"]) == (302, page)


def test_the_future_is_now(row: Registration) -> None:
    assert "1 of 1 were on primary" in words("/?at=2199-01-01T00:00:00")


def test_the_past_is_not_for_everybody(row: Registration) -> None:
    for page in [*pages(row), "/history/between/"]:
        assert get(f"{page}?{AT}", role=None).status_code == 403


def test_who_moved_between_two_times_is_named_with_where_from_and_where_to(
    row: Registration,
) -> None:
    said = words("/history/between/?from=2026-11-23T02:20:00&to=2026-11-23T04:00:00")
    assert "Nora" in said and "On secondary PBX B" in said and "On primary PBX A" in said
    same = words("/history/between/?from=2026-11-23T04:00:00&to=2026-11-23T05:00:00")
    assert "Everybody stood where they had stood" in same
    wrong = words("/history/between/?from=2026-11-23T05:00:00&to=2026-11-23T04:00:00")
    assert "the earlier one first" in wrong
    assert "Compare the fleet at two instants." in words("/history/between/")


def test_the_list_as_it_was_is_exported_as_its_filter_shows_it(row: Registration) -> None:
    query = f"at=2026-11-23T02:13:00-07:00&group={row.group_id}&format=jsonl"
    answer = get(f"/api/v1/registrations/export/?{query}")
    meta, record = map(json.loads, answer.getvalue().splitlines())
    assert meta["meta"]["rows"] == 1
    assert meta["meta"]["since"].startswith("2026-11-23T09:13:00.000")
    assert (record["state"], record["server"]) == ("secondary", "PBX B")
    none = get(f"/api/v1/registrations/export/?{query}&state=primary")
    assert len(none.getvalue().splitlines()) == 1
    assert get("/api/v1/registrations/export/?at=soon").status_code == 400


def test_the_way_to_a_removed_handset_leads_to_its_history(row: Registration) -> None:
    mac = row.line.handset.mac
    row.line.handset.delete()
    answer = get(f"/handsets/mac/{mac}/")
    assert (answer.status_code, answer["Location"]) == (302, f"/history/?mac={mac}")


def test_a_server_that_was_silent_then_is_told_as_silent_and_its_handsets_apart(
    row: Registration,
) -> None:
    five_minutes = timedelta(minutes=5)
    place = {"site": row.site, "server_name": "PBX B", "group_name": "ward", "site_name": "denver"}
    for at, what, before in (
        (START + five_minutes, "silent", "up"),
        (START + 2 * five_minutes, "up", "silent"),
    ):
        ServerChange.objects.create(at=at, what=what, before=before, **place)
    earlier, during, after = (f"at=2026-11-23T02:{minute}:00" for minute in ("14", "19", "24"))
    overview, listed, handset, group = pages(row)
    silent = {
        overview: "1 on secondary, server silent",
        group: "1 on secondary, server silent",
        listed: "On secondary, server silent PBX B",
        handset: "PBX B: Silent from denver, since 23 Nov 02:18:00 MST",
    }
    for page, said in silent.items():
        assert said in words(f"{page}?{during}"), page
        assert said not in words(f"{page}?{earlier}"), page
        assert said not in words(f"{page}?{after}"), page
    lane = "Silent from denver since 23 Nov 02:18:00 MST"
    assert lane in words(f"{overview}?{during}#lane")
    assert "Nora" in words(f"/handsets/?silent=true&{during}")
    assert "Nora" not in words(f"/handsets/?silent=false&{during}")
    assert "Nora" not in words(f"/handsets/?silent=true&{after}")
    assert "Nora" in words(f"/handsets/?silent=false&{after}")
