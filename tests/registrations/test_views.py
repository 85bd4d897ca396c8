"""The pages: who may open them, what they say, and that their query counts do not grow."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fleet.models import Line, ServerGroup
from fleet.roles import Role
from registrations import jobs
from registrations.models import (
    Job,
    JobResult,
    Registration,
    ServerHealth,
    State,
)
from registrations.templatetags.rollcall import STATE_ICONS
from tests.support.rows import (
    make_group,
    make_registration,
    make_site,
    make_transition,
    make_user,
)

pytestmark = pytest.mark.django_db

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"


def signed_in(role: Role | None = Role.VIEWER) -> Client:
    client = Client()
    client.force_login(make_user(f"someone-{role}", role))
    return client


def text(response: Any) -> str:
    """The words of a page, tags taken out and blanks folded."""
    assert response.status_code == 200, response.content[:500]
    whole = response.content.decode().replace("<wbr>", "")
    bare = re.sub(r"<script.*?</script>|<[^>]+>", " ", whole, flags=re.S)
    return re.sub(r"\s+", " ", bare)


def listed(response: Any) -> list[int]:
    found = re.findall(r'<tr data-registration-id="(\d+)"', response.content.decode())
    return [int(pk) for pk in found]


@pytest.fixture
def ward() -> ServerGroup:
    return make_group("ward", re_register_on=True)


# ---- Who may ----------------------------------------------------------------------------------

PAGES = ["/", "/handsets/", "/groups/", "/history/", "/reports/", "/jobs/"]


@pytest.mark.parametrize("page", PAGES)
def test_an_anonymous_visitor_is_sent_to_the_log_in(page: str) -> None:
    response = Client().get(page)
    assert (response.status_code, response.url.split("?")[0]) == (302, "/accounts/login/")


@pytest.mark.parametrize("page", PAGES)
def test_a_user_without_a_role_sees_nothing(page: str) -> None:
    response = signed_in(None).get(page)
    assert response.status_code == 403
    assert "not yours to open" in response.content.decode()


@pytest.mark.parametrize("page", PAGES)
def test_a_viewer_opens_every_page_of_an_empty_fleet(page: str) -> None:
    assert signed_in().get(page).status_code == 200


def test_a_viewer_is_offered_no_failback(ward: ServerGroup) -> None:
    registration = make_registration(ward, State.SECONDARY)
    client = signed_in()
    for page in ("/", "/handsets/", f"/handsets/{registration.line.handset_id}/", "/groups/"):
        assert "Bring home" not in text(client.get(page)), page


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_viewer_may_not_order_a_failback(ward: ServerGroup, method: str) -> None:
    registration = make_registration(ward, State.SECONDARY)
    ask = getattr(signed_in(), method)
    response = ask("/jobs/new/", {"registrations": registration.pk})
    assert response.status_code == 403
    assert not Job.objects.exists()


def test_what_is_not_there_is_a_404_that_says_so() -> None:
    response = signed_in().get("/handsets/999/")
    assert response.status_code == 404
    assert "Nothing is here" in response.content.decode()


def test_the_demo_is_no_page_of_a_real_fleet(settings: Any) -> None:
    settings.DEMO = False
    assert signed_in(Role.ADMIN).post("/demo/servers/1/stop/").status_code == 404


# ---- Overview ---------------------------------------------------------------------------------


def test_the_overview_says_the_fleet_in_one_sentence(ward: ServerGroup) -> None:
    for state in (State.PRIMARY, State.PRIMARY, State.SECONDARY):
        make_registration(ward, state)
    assert "2 of 3 on primary; 1 on secondary since " in text(signed_in().get("/"))


def test_a_tile_leads_to_exactly_those_it_counts(ward: ServerGroup) -> None:
    silent = make_registration(ward, State.PRIMARY)
    other = make_site("north")
    make_registration(ward, State.PRIMARY, other)
    now = timezone.now()
    ServerHealth.objects.create(
        server=silent.server,
        site=silent.site,
        condition=ServerHealth.Condition.SILENT,
        since=now,
        due_at=now + timedelta(hours=1),
    )
    client = signed_in()
    page = client.get("/").content.decode()
    tiles = re.findall(r'data-tile="(\w+)"(.*?)href="([^"]+)".*?tile-count">(\d+)<', page, re.S)
    assert {name: int(count) for name, _, _, count in tiles if count != "0"} == {
        "primary": 1,
        "primary_silent": 1,
    }
    for name, _, link, count in tiles:
        assert len(listed(client.get(link.replace("&amp;", "&")))) == int(count), name


# ---- Handsets ---------------------------------------------------------------------------------


def test_handsets_are_filtered_by_state_group_site_server_and_text(ward: ServerGroup) -> None:
    clinic = make_group("clinic", mode="fallback")
    here = make_registration(ward, State.SECONDARY, name="Triage 7")
    there = make_registration(clinic, State.FALLBACK, make_site("north"), name="Porter")
    client = signed_in()
    for query, expected in (
        ("", [there.pk, here.pk]),
        ("state=secondary", [here.pk]),
        ("state=secondary&state=fallback", [there.pk, here.pk]),
        (f"group={clinic.pk}", [there.pk]),
        (f"site={here.site_id}", [here.pk]),
        (f"server={here.server_id}", [here.pk]),
        ("q=triage", [here.pk]),
        (f"q={there.line.handset.mac[-6:]}&state=secondary", []),
    ):
        assert listed(client.get(f"/handsets/?{query}")) == expected, query


def test_every_active_filter_is_a_chip_that_removes_only_itself(ward: ServerGroup) -> None:
    page = signed_in().get("/handsets/?state=secondary&state=held&q=icu&page=3").content.decode()
    chips = re.findall(r'<a class="filter-chip" href="\?([^"]*)"', page)
    assert [chip.replace("&amp;", "&") for chip in chips] == [
        "state=held&q=icu",
        "state=secondary&q=icu",
        "state=secondary&state=held",
    ]


def test_a_filter_that_names_nothing_real_lists_nobody_and_says_so(ward: ServerGroup) -> None:
    make_registration(ward, State.SECONDARY)
    response = signed_in().get("/handsets/?group=999")
    assert listed(response) == []
    assert "This filter does not fit" in text(response)


def test_paging_sorts_the_whole_fleet_and_keeps_the_filter(ward: ServerGroup) -> None:
    made = [make_registration(ward, State.SECONDARY, extension=str(5000 + n)) for n in range(60)]
    client = signed_in()
    first = client.get("/handsets/?sort=-extension&state=secondary")
    assert listed(first) == [r.pk for r in reversed(made)][:50]
    assert "sort=-extension&amp;state=secondary&amp;page=2" in first.content.decode()
    second = client.get("/handsets/?sort=-extension&state=secondary&page=2")
    assert listed(second) == [r.pk for r in made[:10]][::-1]
    assert len(listed(client.get("/handsets/?size=100"))) == 60


def test_a_size_that_is_not_offered_is_the_smallest(ward: ServerGroup) -> None:
    for _ in range(51):
        make_registration(ward, State.SECONDARY)
    assert len(listed(signed_in().get("/handsets/?size=100000"))) == 50


# ---- Handset ----------------------------------------------------------------------------------


def test_a_handset_says_where_why_since_when_and_what_comes_next(ward: ServerGroup) -> None:
    registration = make_registration(
        ward,
        State.SECONDARY,
        reason="The primary did not answer.",
        next_attempt_at=timezone.now() + timedelta(seconds=90),
        last_answer="200 OK",
    )
    words = text(signed_in().get(f"/handsets/{registration.line.handset_id}/"))
    for part in (
        "On secondary",
        "127.0.0.3:5060",
        "The primary did not answer.",
        "Renews its registration in 1:",
        "Offers its next renewal to the primary first.",
        "200 OK",
    ):
        assert part in words, part


def test_times_are_the_sites_with_utc_beside_them(ward: ServerGroup) -> None:
    site = make_site("denver", time_zone="America/Denver")
    at = datetime(2026, 1, 15, 20, 30, tzinfo=UTC)
    registration = make_registration(ward, State.PRIMARY, site, since=at)
    page = signed_in().get(f"/handsets/{registration.line.handset_id}/").content.decode()
    assert 'title="2026-01-15 20:30:00 UTC">15 Jan 13:30:00</time>' in page


def test_a_line_that_is_off_says_so(ward: ServerGroup) -> None:
    registration = make_registration(ward, State.DISABLED, supervision=Line.Supervision.OFF)
    words = text(signed_in().get(f"/handsets/{registration.line.handset_id}/"))
    assert "Nothing: supervision is off for this line." in words


def test_history_leads_to_a_handset_by_its_mac(ward: ServerGroup) -> None:
    handset = make_registration(ward, State.PRIMARY).line.handset
    client = signed_in()
    response = client.get(f"/handsets/mac/{handset.mac}/")
    assert (response.status_code, response.url) == (302, f"/handsets/{handset.pk}/")
    response = client.get(f"/handsets/mac/{handset.mac}/?at=2026-03-08T09:14:00Z")
    assert response["Location"] == f"/handsets/{handset.pk}/?at=2026-03-08T09%3A14%3A00Z"


# ---- Groups -----------------------------------------------------------------------------------


def test_a_group_says_its_policy_in_sentences_and_in_the_guides_names() -> None:
    group = make_group("ward", fail_back_mode="duration", fail_back_timeout=120)
    words = text(signed_in().get(f"/groups/{group.pk}/"))
    assert "Tries the primary again 2 min after it moved away." in words
    for name in ("failOver.failBack.mode", "failOver.reRegisterOn", "server.x.expires.overlap"):
        assert name in words, name


# ---- History ----------------------------------------------------------------------------------


def test_history_and_its_export_link_hold_the_same_filter() -> None:
    make_transition(mac="00907a000001", handset_name="Moved")
    make_transition(mac="00907a000002", handset_name="Stayed", cause="first")
    response = signed_in().get("/history/?cause=failover&page=1")
    assert "Moved" in text(response)
    assert "Stayed" not in text(response)
    assert (
        'href="/api/v1/transitions/export/?format=csv&amp;cause=failover"'
        in response.content.decode()
    )


def test_a_local_time_is_meant_in_the_zone_the_fleet_shares() -> None:
    make_site("denver", time_zone="America/Denver")
    make_transition(handset_name="Before", at=datetime(2026, 1, 15, 19, 59, tzinfo=UTC))
    make_transition(handset_name="After", at=datetime(2026, 1, 15, 20, 1, tzinfo=UTC))
    response = signed_in().get("/history/?since=2026-01-15T13:00")
    assert "After" in text(response)
    assert "Before" not in text(response)
    assert "since=2026-01-15T13%3A00%3A00-07%3A00" in response.content.decode()


# ---- Orders -----------------------------------------------------------------------------------


@pytest.fixture
def three(ward: ServerGroup) -> dict[str, Registration]:
    return {
        "away": make_registration(ward, State.SECONDARY, name="Away"),
        "home": make_registration(ward, State.PRIMARY, name="At home"),
        "off": make_registration(
            ward, State.DISABLED, name="Switched off", supervision=Line.Supervision.OFF
        ),
    }


def test_the_dialog_names_whom_it_touches_and_whom_it_leaves(
    three: dict[str, Registration],
) -> None:
    words = text(signed_in(Role.OPERATOR).get(f"/jobs/new/?group={three['away'].group_id}"))
    assert "Bring 1 handset home?" in words
    assert "Already on primary, not touched 1" in words
    assert "Left out: Its supervision is off. 1" in words
    assert "Away (" in words
    assert "At home (" not in words


def test_looking_at_the_dialog_orders_nothing(three: dict[str, Registration]) -> None:
    signed_in(Role.OPERATOR).get(f"/jobs/new/?registrations={three['away'].pk}")
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("fields", "scope"),
    [
        (lambda r: {"registrations": r.pk}, lambda r: {"registrations": [r.pk]}),
        (lambda r: {"group": r.group_id}, lambda r: {"group": r.group_id}),
        (lambda r: {"match": ""}, lambda _: {"all": True}),
        (lambda r: {"match": "sort=-name&page=2"}, lambda _: {"all": True}),
        (lambda r: {"match": f"site={r.site_id}"}, lambda r: {"site": r.site_id}),
        (
            lambda r: {"match": "state=secondary&q=Away"},
            lambda _: {"filter": "state=secondary&q=Away"},
        ),
    ],
)
def test_these_and_all_that_match_become_the_scope_they_mean(
    three: dict[str, Registration],
    fields: Callable[[Registration], dict[str, Any]],
    scope: Callable[[Registration], dict[str, Any]],
) -> None:
    away = three["away"]
    response = signed_in(Role.OPERATOR).post("/jobs/new/", fields(away))
    job = Job.objects.get()
    assert (response.status_code, response.url) == (302, f"/jobs/{job.pk}/")
    assert job.scope == scope(away)
    assert job.asked_by == f"someone-{Role.OPERATOR}"


def test_all_that_match_is_never_more_than_the_filter_when_the_filter_is_wrong(
    three: dict[str, Registration],
) -> None:
    signed_in(Role.OPERATOR).post("/jobs/new/", {"match": "group=999&state=secondary"})
    assert not Job.objects.exists()


@pytest.mark.parametrize("field", ["group", "site", "registrations"])
def test_an_order_for_what_does_not_exist_is_refused_in_words(
    ward: ServerGroup, field: str
) -> None:
    client = signed_in(Role.OPERATOR)
    for number in ("999", "9" * 30):
        assert "Nobody to bring home" in text(client.get(f"/jobs/new/?{field}={number}"))
        refused = client.post("/jobs/new/", {field: number}, follow=True)
        assert re.search("There is no|Give a list of registration ids", text(refused))
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=x", "size=-1", "sort=--", "state=nonsense", "server=x", "since=x", "q=%00"],
)
def test_no_query_string_breaks_a_list(ward: ServerGroup, query: str) -> None:
    client = signed_in()
    for page in ("/handsets/", "/history/", "/jobs/"):
        assert client.get(f"{page}?{query}").status_code == 200, page


def make_job(ward: ServerGroup, result: str = JobResult.Result.PENDING) -> Job:
    registration = make_registration(ward, State.SECONDARY)
    Registration.objects.filter(pk=registration.pk).update(wish="failback")
    job = Job.objects.create(
        scope={"group": ward.pk}, asked_by="nurse", wave=0, wave_at=timezone.now()
    )
    JobResult.objects.create(
        job=job,
        registration=registration,
        mac=registration.line.handset.mac,
        extension=registration.line.extension,
        wave=0,
        result=result,
        reason="The primary refused the password." if result == "refused" else "",
    )
    return job


def test_a_running_job_asks_again_and_a_finished_one_stops_asking(ward: ServerGroup) -> None:
    job = make_job(ward)
    client = signed_in()
    polled = client.get(f"/jobs/{job.pk}/", headers={"HX-Request": "true"})
    assert (polled.status_code, 'hx-trigger="every 1s"' in polled.content.decode()) == (200, True)
    job.results.update(result=JobResult.Result.MOVED)
    jobs.advance_all()
    over = client.get(f"/jobs/{job.pk}/", headers={"HX-Request": "true"})
    assert (over.status_code, "hx-trigger" in over.content.decode()) == (286, False)


def test_a_job_says_what_it_did_to_each_handset_and_why(ward: ServerGroup) -> None:
    job = make_job(ward, JobResult.Result.REFUSED)
    words = text(signed_in().get(f"/jobs/{job.pk}/"))
    assert "Group ward home" in words
    assert "1 did not make it" in words
    assert "The primary refused the password." in words


def test_an_operator_cancels_what_has_not_begun(ward: ServerGroup) -> None:
    job = make_job(ward)
    assert signed_in(Role.VIEWER).post(f"/jobs/{job.pk}/cancel/").status_code == 403
    signed_in(Role.OPERATOR).post(f"/jobs/{job.pk}/cancel/")
    job.refresh_from_db()
    assert job.cancelled_at is not None
    assert job.results.get().result == JobResult.Result.CANCELLED


# ---- Costs and shape --------------------------------------------------------------------------

MOST_QUERIES = {
    "/": 18,  # Two of the summary look for what holds handsets away; the incidents that are on.
    "/handsets/": 12,
    "/handsets/?state=secondary&q=nurse": 13,  # Counted before the few are found.
    "/wallboard/": 15,  # The incidents that are on.
    "/groups/": 13,
    "/groups/{group}/": 33,  # Who is not proved where it would land; who calls it primary.
    "/handsets/{handset}/": 19,  # The chart, before its period and in it; proofs; its reports.
    "/history/": 8,
    "/jobs/": 10,  # The drills.
    "/jobs/{job}/": 10,  # Whether its wave waits in vain.
    "/jobs/new/?group={group}": 20,  # Whom the primary is not proved to take.
}
"""Per page, session, user and role included. A page that needs more has to argue for it here."""


def _grow(ward: ServerGroup, times: int) -> None:
    for n in range(times):
        registration = make_registration(ward, State.SECONDARY, make_site(f"site-{n % 3}"))
        make_transition(registration, mac=registration.line.handset.mac)
        make_job(ward, JobResult.Result.MOVED)


def _count(client: Client, page: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get(page).status_code == 200
    return len(queries)


@pytest.mark.parametrize("page", MOST_QUERIES)
def test_a_page_asks_the_database_as_often_for_forty_handsets_as_for_two(
    ward: ServerGroup, page: str
) -> None:
    _grow(ward, 1)
    job = Job.objects.get()
    handset = Registration.objects.order_by("pk").first()
    assert handset is not None
    url = page.format(group=ward.pk, handset=handset.line.handset_id, job=job.pk)
    client = signed_in(Role.OPERATOR)
    few = _count(client, url)
    _grow(ward, 20)
    assert _count(client, url) == few
    assert few <= MOST_QUERIES[page]


class Inline(HTMLParser):
    """Collects what a strict Content-Security-Policy would refuse to run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        data = given.get("type") == "application/json"
        if tag == "style" or (tag == "script" and not given.get("src") and not data):
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name in given if name == "style" or name[:2] == "on"]
        self.found += [str(v) for n, v in attrs if n in ("src", "href") and "//" in str(v)]


def test_no_page_has_inline_scripts_styles_or_foreign_addresses(ward: ServerGroup) -> None:
    _grow(ward, 2)
    client = signed_in(Role.ADMIN)
    handset = Registration.objects.order_by("pk").first()
    assert handset is not None
    for page in MOST_QUERIES:
        job = Job.objects.latest("pk")
        url = page.format(group=ward.pk, handset=handset.line.handset_id, job=job.pk)
        reader = Inline()
        reader.feed(client.get(url).content.decode())
        assert reader.found == [], url


def test_names_from_the_fleet_are_text_and_never_markup(ward: ServerGroup) -> None:
    evil = "<script>alert(1)</script>"
    registration = make_registration(ward, State.SECONDARY, name=evil, reason=evil)
    make_transition(registration, handset_name=evil, reason=evil)
    client = signed_in(Role.OPERATOR)
    for page in ("/", "/handsets/", f"/handsets/{registration.line.handset_id}/", "/history/"):
        assert evil not in client.get(page).content.decode(), page
    assert evil not in client.get(f"/jobs/new/?registrations={registration.pk}").content.decode()


def test_every_icon_that_is_named_is_in_the_sprite() -> None:
    static = TEMPLATES.parent / "static"
    sprite = (static / "vendor/icons/sprite.svg").read_text()
    drawn = set(re.findall(r'<symbol id="([^"]+)"', sprite))
    named = {
        name
        for source in TEMPLATES.rglob("*.html")
        for name in re.findall(r'{% icon "([^"]+)"', source.read_text())
    }
    assert named | set(STATE_ICONS.values()) <= drawn


def test_the_browser_draws_and_words_a_state_as_the_server_does() -> None:
    script = (TEMPLATES.parent / "static/rollcall/fleet.js").read_text()
    words = dict(re.findall(r'(\w+): "([^"]+)"', script[script.index("const WORDS") :]))
    for state in State:
        assert words[state] == state.label
    icons = dict(re.findall(r'(\w+): "([^"]+)"', script[: script.index("const WORDS")]))
    assert icons.items() <= STATE_ICONS.items()
    assert {*State.values, "silent", "up"} <= set(icons)


def test_superusers_hold_every_role(ward: ServerGroup) -> None:
    registration = make_registration(ward, State.SECONDARY)
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    assert "Bring home" in text(client.get(f"/handsets/{registration.line.handset_id}/"))
