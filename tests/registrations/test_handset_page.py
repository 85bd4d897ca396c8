"""A handset's page: what an admin wants first, the chart, the changes leaf by leaf, the ladder."""

import re
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fleet.models import Line, ServerGroup
from fleet.roles import Role
from registrations.models import Registration, SiteNetwork, State
from registrations.templatetags.rollcall import deadline
from tests.support.rows import (
    make_group,
    make_proof,
    make_registration,
    make_transition,
    make_user,
)
from tests.support.traces import keep

pytestmark = pytest.mark.django_db

_viewers = count()


@pytest.fixture
def ward() -> ServerGroup:
    return make_group("ward", re_register_on=True)


def page_of(row: Registration, query: str = "") -> str:
    client = Client()
    client.force_login(make_user(f"viewer {next(_viewers)}", Role.VIEWER))
    answer = client.get(f"/handsets/{row.line.handset_id}/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<script.*?</script>|<[^>]+>", " ", html, flags=re.S))


def part(html: str, name: str) -> str:
    """A section of the page by its id."""
    return html[html.index(f'id="{name}"') :].split("</section>")[0]


def at(**ago: float) -> datetime:
    return timezone.now() - timedelta(**ago)


# ---- Countdowns -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "more", "said"),
    [
        (90.5, {}, "in 1:30"),
        (7500.5, {}, "in 2 h 05 min"),
        (-3, {}, "due now"),
        (-3, {"due": "ends now"}, "ends now"),
        (-60, {}, "overdue: unknown since 13:59:00"),
        (-60, {"over": "ended"}, "ended: unknown since 13:59:00"),
        (-60, {"trying": "being tried since"}, "being tried since 13:59:00"),
    ],
)
def test_a_deadline_says_what_it_means_that_it_is_past(
    time_machine: Any, seconds: float, more: dict[str, str], said: str
) -> None:
    now = datetime(2026, 11, 27, 14, tzinfo=UTC)
    time_machine.move_to(now, tick=False)
    made = deadline(now + timedelta(seconds=seconds), "UTC", **more)
    assert made.endswith(f">{said}</time>")
    assert 'data-time="deadline"' in made


def test_of_a_line_that_is_unknown_no_next_step_is_promised(ward: ServerGroup) -> None:
    row = make_registration(ward, next_attempt_at=at(minutes=5), due_at=at(minutes=5))
    said = words(part(page_of(row), "lines"))
    assert "Nothing heard since; the next step was due" in said
    assert "overdue: unknown since" in said
    assert "being tried since" not in said


def test_of_a_watched_handset_nobody_tells_of_its_servers_are_named_before_the_worker(
    ward: ServerGroup,
) -> None:
    row = make_registration(ward, State.PRIMARY)
    Line.objects.update(supervision=Line.Supervision.OBSERVE)
    long_ago = timezone.now() - timedelta(minutes=10)
    Registration.objects.update(due_at=None, next_attempt_at=long_ago)
    said = words(part(page_of(row), "lines"))
    assert "None of its servers has said of late where it is" in said
    assert "heard nothing of its own worker" not in said


def test_of_a_watched_handset_its_servers_list_is_shown_with_until_when(ward: ServerGroup) -> None:
    row = make_registration(ward, State.PRIMARY)
    Line.objects.update(supervision=Line.Supervision.OBSERVE)
    until = timezone.now() + timedelta(minutes=40)
    contacts = [["sip:4001@10.1.2.3:5060", until.timestamp()]]
    make_proof(row, 1, "proved", is_observed=True, contacts=contacts, others_until=until)
    page = page_of(row)
    assert "lists sip:4001@10.1.2.3:5060 until" in words(page)
    assert "Only asked who is bound: see below." in words(page)
    assert "Not asked by this line yet." not in words(page)


def test_where_the_sites_network_is_suspected_the_worker_is_not_blamed(ward: ServerGroup) -> None:
    row = make_registration(ward, next_attempt_at=at(minutes=5))
    SiteNetwork.objects.create(site=row.site, suspected_since=at(minutes=4))
    said = words(part(page_of(row), "lines"))
    assert "All servers of main fell silent at once. Check the site’s network first" in said
    assert "Waits for an answer of any of its site's servers" in said.replace("&#x27;", "'")
    assert "Next attempt When a server answers" in said
    assert "Check that a worker runs" not in said


def test_first_comes_where_then_how_long_still_then_what_to_do(ward: ServerGroup) -> None:
    row = make_registration(ward, State.REJECTED, reason="The server forbids it.")
    html = part(page_of(row), "lines")
    places = [
        html.index(words)
        for words in (
            "Rejected",
            "Binding ends",
            "Next attempt",
            "No server takes this line",
            "Why",
        )
    ]
    assert places == sorted(places)


# ---- The chart --------------------------------------------------------------------------------


@pytest.fixture
def away(ward: ServerGroup) -> Registration:
    """On the secondary for six hours, on the primary before that, without record before that."""
    row = make_registration(ward, State.SECONDARY)
    mac = row.line.handset.mac
    make_transition(
        row,
        at=at(hours=18),
        mac=mac,
        from_state="registering",
        from_server="",
        to_state="primary",
        to_server="127.0.0.2:5060",
        cause="first",
    )
    make_transition(row, at=at(hours=6), mac=mac)
    return row


def shares(html: str) -> list[str]:
    return re.findall(r"<strong>([^<]+ %)</strong>", part(html, "stays").replace("&lt;", "<"))


def test_the_chart_says_how_long_it_was_where_and_why(away: Registration) -> None:
    html = page_of(away)
    assert shares(html) == ["50.0 %", "25.0 %", "0 %", "25.0 %"]
    said = part(html, "stays")
    assert "On secondary, 127.0.0.3:5060" in said
    assert "Failover. The primary did not answer." in said
    assert 'data-kind="blank"' in said
    assert "2 changes in the last 24 h." in words(said)


def test_the_period_is_in_the_address(away: Registration) -> None:
    assert shares(page_of(away, "?span=7d"))[:2] == ["7.1 %", "3.6 %"]
    assert 'href="?span=30d"' in page_of(away, "?span=7d")
    assert shares(page_of(away, "?span=nonsense")) == shares(page_of(away))


def test_what_is_unknown_now_is_drawn_so(away: Registration) -> None:
    Registration.objects.filter(pk=away.pk).update(due_at=at(hours=2), expires_at=at(hours=1))
    assert shares(page_of(away)) == ["50.0 %", "16.7 %", "0 %", "33.3 %"]


def test_each_line_has_a_chart_and_a_ladder_of_its_own(away: Registration) -> None:
    second = Line.objects.create(
        handset=away.line.handset,
        number=2,
        extension="4999",
        domain="pbx.example",
        supervision=Line.Supervision.REGISTER,
    )
    other = Registration.objects.update_or_create(
        line=second,
        defaults={"group": away.group, "site": away.site, "since": at(hours=1)},
    )[0]
    html = page_of(away, f"?line={other.pk}")
    assert shares(html)[-1] == "100 %"
    assert "Which server held it, line 4999" in words(html)
    assert f'data-of="{other.pk}"' in part(html, "trace")
    assert shares(page_of(away))[0] == "50.0 %"


# ---- Its changes ------------------------------------------------------------------------------


def test_its_changes_are_leafed_through_and_only_the_newest_leaf_is_live(
    ward: ServerGroup,
) -> None:
    row = make_registration(ward)
    for hour in range(20):
        make_transition(row, mac=row.line.handset.mac, at=at(hours=hour), reason=f"change {hour}.")
    newest = part(page_of(row), "own-changes")
    assert "change 0." in newest and "change 8." not in newest
    assert "data-live-feed" in newest and f"?mac={row.line.handset.mac}" in newest
    older = re.search(r'id="older-moves" href="(\?before=[^"]+)"', newest)
    assert older is not None
    second = part(page_of(row, older[1]), "own-changes")
    assert "change 8." in second and "change 7." not in second
    assert "data-live-feed" not in second and "Newer" in second


# ---- The ladder -------------------------------------------------------------------------------


def test_without_redis_the_page_says_so_and_shows_the_rest(ward: ServerGroup) -> None:
    html = page_of(make_registration(ward))
    said = words(part(html, "trace"))
    assert "The trace is not available" in said and "noticed at" in said
    assert "No try is kept" not in said
    assert "Which server held it" in words(html)


@pytest.mark.usefixtures("live_redis")
class TestWithRedis:
    def test_a_line_without_a_try_says_since_when_tries_are_kept(self, ward: ServerGroup) -> None:
        keep(make_registration(ward), ())
        row = make_registration(ward, next_attempt_at=timezone.now() + timedelta(seconds=7230))
        said = words(part(page_of(row), "trace"))
        assert "No try is kept" in said
        assert "none was made since. The next one is due in 2 h 00 min" in said

    def test_the_ladder_shows_both_servers_silence_and_the_verdict(self, ward: ServerGroup) -> None:
        row = make_registration(ward)
        keep(row, ("",), ())
        html = part(page_of(row), "trace")
        said = words(html)
        for piece in (
            "127.0.0.2:5060: Did not answer within 2 s. 127.0.0.3:5060: Took the registration for",
            "sent again 3 times",
            "after 0.5, 1.0, 1.5 s",
            "no answer",
            "401 Unauthorized",
            "Asked for credentials for “pbx.example”.",
            "nonce=***",
        ):
            assert piece in said, piece
        assert f'href="/api/v1/registrations/{row.pk}/trace/?format=text"' in html

    def test_the_first_failure_stands_beside_the_last_success(self, ward: ServerGroup) -> None:
        row = make_registration(ward)
        keep(row, ())
        keep(row, ("403 Forbidden",), now=1_800_000_060.0)
        html = part(page_of(row), "trace")
        assert "127.0.0.2:5060: last success with first failure" in words(html)
        assert (
            "<mark>SIP/2.0 200 OK</mark>" in html and "<mark>SIP/2.0 403 Forbidden</mark>" in html
        )

    def test_one_servers_ladder_is_in_the_address(self, ward: ServerGroup) -> None:
        row = make_registration(ward)
        keep(row, ("",), ())
        second = ward.servers.get(priority=2)
        html = part(page_of(row, f"?server={second.pk}"), "trace")
        assert "no answer" not in html and "200 OK" in html
        assert f"?format=text&amp;server={second.pk}" in html

    def test_what_a_server_says_is_text_and_never_markup(self, ward: ServerGroup) -> None:
        row = make_registration(ward)
        evil = "<script>alert(1)</script>"
        keep(row, (f"500 {evil}", f"X-Evil: {evil}"))
        assert evil not in page_of(row)
