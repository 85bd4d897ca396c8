"""In which zone a viewer reads times: the sites', one of their choice, or their computer's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.template import Context, Template
from django.test import Client, RequestFactory

from fleet import zones
from fleet.roles import Role
from registrations import queries
from tests.support.rows import make_user

SUMMER = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
"""Half an hour before Berlin's clocks go back from 3 to 2."""

WINTER = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def that_year() -> Iterator[None]:
    """Times of another year would name it."""
    with time_machine.travel(WINTER + timedelta(days=7)):
        yield


def shown(at: datetime, zone: str, tag: str = "clock") -> str:
    template = Template(f"{{% load rollcall %}}{{% {tag} at zone %}}")
    return template.render(Context({"at": at, "zone": zone}))


@pytest.fixture
def viewer(db: None, client: Client) -> User:
    user = make_user(role=Role.VIEWER)
    client.force_login(user)
    return user


@pytest.fixture
def as_chosen(rf: RequestFactory, viewer: User) -> Any:
    """A function that makes the choice and lets its request be served from then on."""

    def choose(zone: str, cookie: str = "") -> None:
        request = rf.get("/")
        request.user, request.session = viewer, SessionStore()
        request.COOKIES["zone"] = cookie
        zones.choose(request, zone)
        zones.serve(request)

    yield choose
    zones.serve(None)


def test_times_are_the_sites_own_until_somebody_chooses() -> None:
    assert "25 Oct 02:30:00<" in shown(SUMMER, "Europe/Berlin")
    assert "2026-10-25 00:30:00 UTC" in shown(SUMMER, "Europe/Berlin")


def test_a_chosen_zone_counts_everywhere_and_is_named_where_it_is_not_the_sites(
    as_chosen: Any,
) -> None:
    as_chosen("America/Denver")
    assert "24 Oct 18:30:00 MDT<" in shown(SUMMER, "Europe/Berlin")
    assert "24 Oct 18:30:00<" in shown(SUMMER, "America/Denver")
    assert "2026-10-25 00:30:00 UTC" in shown(SUMMER, "Europe/Berlin")
    as_chosen("UTC")
    assert "25 Oct 00:30:00 UTC<" in shown(SUMMER, "Europe/Berlin")


def test_the_hour_that_comes_twice_is_told_apart(as_chosen: Any) -> None:
    as_chosen("Europe/Berlin")
    assert "25 Oct 02:30:00 CEST<" in shown(SUMMER, "UTC")
    assert "25 Oct 02:30:00 CET<" in shown(WINTER, "UTC")
    assert queries.clock(SUMMER, "Europe/Berlin", SUMMER) == "02:30 CEST"
    assert queries.clock(WINTER, "Europe/Berlin", WINTER) == "02:30 CET"


def test_the_computers_zone_is_what_it_says_and_the_sites_while_it_says_nothing(
    as_chosen: Any,
) -> None:
    as_chosen("browser")
    assert "25 Oct 02:30:00<" in shown(SUMMER, "Europe/Berlin")
    as_chosen("browser", "Asia/Dubai")
    assert "25 Oct 04:30:00 UTC+4<" in shown(SUMMER, "Europe/Berlin")
    as_chosen("browser", "../../etc/passwd")
    assert "25 Oct 02:30:00<" in shown(SUMMER, "Europe/Berlin")


def test_a_choice_is_kept_for_the_user_and_leads_back(viewer: User, client: Client) -> None:
    given = {"zone": "name", "name": "Asia/Tokyo", "next": "/jobs/"}
    assert client.post("/accounts/times/", given).headers["Location"] == "/jobs/"
    other = Client()
    other.force_login(viewer)
    assert 'data-zone="Asia/Tokyo"' in other.get("/jobs/").content.decode()
    assert "Times: Asia/Tokyo" in other.get("/jobs/").content.decode()
    given = {"zone": "", "next": "https://evil.example/"}
    assert client.post("/accounts/times/", given).headers["Location"] == "/"
    assert "each site&#x27;s own" in client.get("/jobs/").content.decode()


def test_who_reads_utc_is_not_sent_to_hover_for_it(viewer: User, client: Client) -> None:
    assert "; hover for UTC." in client.get("/history/").content.decode()
    client.post("/accounts/times/", {"zone": "name", "name": "UTC"})
    page = client.get("/history/").content.decode()
    assert "Times: UTC." in page and "hover for UTC" not in page


def test_what_is_no_zone_is_refused(viewer: User, client: Client) -> None:
    answer = client.post("/accounts/times/", {"zone": "name", "name": "Mars/Base"})
    assert answer.status_code == 400
    assert "There is no time zone" in answer.content.decode()


def test_who_is_not_logged_in_chooses_nothing(db: None, client: Client) -> None:
    assert client.post("/accounts/times/", {"zone": "UTC"}).status_code == 302
    assert client.get("/accounts/times/").headers["Location"].startswith("/accounts/login/")
