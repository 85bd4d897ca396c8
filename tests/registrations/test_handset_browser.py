"""A handset's page in Chromium: countdowns, moves seen live, a ladder that waits for its reader."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from registrations.models import Registration
from tests.registrations import live_fleet
from tests.registrations.live_web import Web, log_in, publish, whole, worker
from tests.support.traces import keep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]


@pytest.fixture
def web(live_redis: str, page: Page) -> Iterator[Web]:
    """A web process whose admin the page is; what the page complains about fails the test."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    made = whole()
    try:
        log_in(page, made)
        with worker():
            yield made
        assert [text for text in complaints if "ERR_CONNECTION_REFUSED" not in text] == []
    finally:
        made.stop()


@pytest.fixture
def fleet() -> live_fleet.Fleet:
    made = live_fleet.make(1)
    keep(made.rows[0], ())
    keep(made.rows[0], (), now=1_800_000_060.0)
    return made


def look(page: Page, web: Web, row: Registration, query: str = "") -> None:
    page.goto(f"http://127.0.0.1:{web.port}/handsets/{row.line.handset_id}/{query}")
    expect(page.locator("body")).to_have_attribute("data-live", "live")
    page.evaluate("window.sameDocument = true")


def heard(row: Registration, **changes: Any) -> None:
    """What a worker saves of a try."""
    now = datetime.now(UTC)
    for name, value in ({"heard_at": now} | changes).items():
        setattr(row, name, value)
    row.save()
    publish(row)


def seconds_from_now(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_a_countdown_runs_corrects_itself_and_says_when_it_is_past(
    web: Web, page: Page, fleet: live_fleet.Fleet
) -> None:
    row = fleet.rows[0]
    heard(row, next_attempt_at=seconds_from_now(170), expires_at=seconds_from_now(7318))
    look(page, web, row)
    coming = page.locator('.vitals [data-part="next"]')
    expect(coming).to_have_text(re.compile(r"in [12]:\d\d"))
    expect(page.locator('.vitals [data-part="expires"]')).to_have_text("in 2 h 01 min")
    before = coming.inner_text()
    expect(coming).not_to_have_text(before)
    heard(row, next_attempt_at=seconds_from_now(600))
    expect(coming).to_have_text(re.compile(r"in (10:00|9:\d\d)"))
    heard(row, next_attempt_at=seconds_from_now(-1))
    expect(coming).to_have_text("due now")
    expect(coming).to_have_text(re.compile(r"being tried since \d\d:"))
    assert page.evaluate("window.sameDocument")
    web.stop()
    expect(page.locator("body")).to_have_attribute("data-live", "stale")
    expect(coming).to_have_text(re.compile(r"overdue: unknown since \d\d:"))


def test_a_move_is_seen_while_what_is_being_read_stays_open(
    web: Web, page: Page, fleet: live_fleet.Fleet
) -> None:
    row = fleet.rows[0]
    look(page, web, row)
    tries = page.locator("#trace details.try:not(.compare)")
    expect(tries).to_have_count(2)
    tries.nth(1).locator("summary").first.click()
    expect(tries.nth(1).locator(".ladder")).to_be_visible()

    keep(row, ("",), (), now=1_800_000_120.0)
    live_fleet.move(row, fleet.secondary)
    heard(row)
    expect(page.locator(".situation-state")).to_contain_text("On secondary")
    expect(page.locator("#own-changes")).to_contain_text("On secondary")
    expect(page.locator("#stays .stay[data-state=secondary]")).to_have_count(1)
    newer = page.get_by_role("button", name="Show the newest try")
    expect(newer).to_be_visible()
    expect(tries).to_have_count(2)
    expect(tries.nth(1).locator(".ladder")).to_be_visible()

    newer.click()
    expect(tries).to_have_count(3)
    expect(tries.first).to_contain_text("Did not answer within 2 s.")
    expect(page.locator("#trace .compare")).to_contain_text("last success with first failure")
    assert page.evaluate("window.sameDocument")


def test_a_ladder_nobody_reads_in_keeps_itself_current(
    web: Web, page: Page, fleet: live_fleet.Fleet
) -> None:
    row = fleet.rows[0]
    look(page, web, row)
    keep(row, ("503 Service Unavailable",), (), now=1_800_000_120.0)
    heard(row)
    expect(page.locator("#trace .try-what").nth(1)).to_contain_text("overloaded or in maintenance")


def test_redis_gone_is_said_instead_of_an_empty_ladder(
    web: Web, page: Page, fleet: live_fleet.Fleet, settings: Any
) -> None:
    look(page, web, fleet.rows[0])
    expect(page.locator("#trace .ladder").first).to_be_visible()
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    page.reload()
    expect(page.locator("#trace")).to_contain_text("The trace is not available")
    expect(page.locator("#trace")).not_to_contain_text("No try is kept")
    expect(page.locator(".situation-state")).to_contain_text("On primary")


def test_the_chart_is_read_by_keyboard_and_its_period_goes_into_the_address(
    web: Web, page: Page, fleet: live_fleet.Fleet
) -> None:
    row = fleet.rows[0]
    live_fleet.move(row, fleet.secondary)
    look(page, web, row)
    page.locator("#span-24h").focus()
    for _ in range(3):
        page.keyboard.press("Tab")
    caption = page.locator("#stays-caption")
    expect(caption).to_contain_text("On secondary")
    page.keyboard.press("ArrowLeft")
    expect(caption).to_contain_text("Not recorded")
    page.keyboard.press("ArrowRight")
    expect(caption).to_contain_text("On secondary")
    page.locator("#span-7d").click()
    expect(page).to_have_url(re.compile(r"\?span=7d$"))
    expect(page.locator("#span-7d")).to_have_attribute("aria-current", "true")
    assert page.evaluate("window.sameDocument")


def test_the_ladder_is_had_as_a_text_file(web: Web, page: Page, fleet: live_fleet.Fleet) -> None:
    look(page, web, fleet.rows[0])
    with page.expect_download() as given:
        page.get_by_role("link", name="As text").click()
    assert given.value.suggested_filename.startswith("trace-00907a000001-1-")
    assert "REGISTER sip:pbx.example SIP/2.0" in given.value.path().read_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_chart_and_ladder_break_no_rule_of_accessibility(
    web: Web, page: Page, fleet: live_fleet.Fleet, theme: Any, width: int
) -> None:
    row = fleet.rows[0]
    live_fleet.move(row, fleet.secondary)
    keep(row, ("",), (), now=1_800_000_120.0)
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    look(page, web, row)
    for summary in page.locator("#trace summary").all():
        summary.evaluate("element => { element.parentElement.open = true }")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = Axe().run(page, options={"runOnly": tags, "resultTypes": ["violations"]})
    assert [
        (violation["id"], node["html"][:160])
        for violation in found.response["violations"]
        for node in violation["nodes"]
    ] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
