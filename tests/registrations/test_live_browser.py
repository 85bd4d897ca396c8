"""live.js in Chromium: rows change without reload, and the page says since when it is not live."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from fleet.models import Site
from fleet.people import SiteLimit
from fleet.roles import Role
from registrations.models import QuietHours, Registration, State
from tests.registrations import live_fleet
from tests.registrations.live_web import log_in, publish, whole, worker
from tests.support.rows import make_site, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_page_lives_says_when_it_does_not_and_recovers(live_redis: str, page: Page) -> None:
    fleet = live_fleet.make(3)
    row = page.locator(f'[data-registration-id="{fleet.rows[0].pk}"]')
    banner = page.locator("#live-banner")
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    web = whole()
    log_in(page, web)

    def state(expected: str) -> None:
        expect(page.locator("body")).to_have_attribute("data-live", expected)

    try:
        with worker():
            page.goto(f"http://127.0.0.1:{web.port}/handsets/")
            page.evaluate("window.sameDocument = true")
            state("live")
            expect(banner).to_be_hidden()
            live_fleet.move(fleet.rows[0], fleet.secondary)
            publish(fleet.rows[0])
            expect(row).to_contain_text("On secondary")

            page.locator("#filter-text").fill("4003")
            expect(page.locator("[data-registration-id]")).to_have_count(1)
            live_fleet.move(fleet.rows[2], fleet.secondary)
            publish(fleet.rows[2])
            expect(page.locator("[data-registration-id]")).to_contain_text("On secondary")
        state("worker-silent")
        expect(banner).to_contain_text("No worker heard since")
        with worker():
            state("live")
            expect(banner).to_be_hidden()
            web.stop()
            state("stale")
            expect(banner).to_contain_text("No news from Rollcall since")
            fleet.rows[2].state, fleet.rows[2].server = "primary", fleet.primary
            fleet.rows[2].save()
            web = whole(web.port)
            state("live")
            expect(page.locator("[data-registration-id]")).to_contain_text("On primary")
        assert page.evaluate("window.sameDocument")
        assert not faults
    finally:
        web.stop()


def test_a_page_whose_session_ended_says_so(live_redis: str, page: Page) -> None:
    live_fleet.make(1)
    web = whole()
    client = log_in(page, web)
    origin = f"http://127.0.0.1:{web.port}"
    try:
        with worker():
            page.goto(f"{origin}/")
            body = page.locator("body")
            expect(body).to_have_attribute("data-live", "live")
            client.session.flush()
            web.stop()
            web = whole(web.port)
            banner = page.locator("#live-banner")
            told = "You are logged out: what you see is from"
            expect(banner).to_contain_text(told)
            way = banner.get_by_role("link", name="Log in again")
            expect(way).to_have_attribute("href", "/accounts/login/?next=/")
            expect(page.locator("#states .panel-age")).to_contain_text("From ")
            log_in(page, web)
            expect(body).to_have_attribute("data-live", "live")
            expect(way).to_be_hidden()
            expect(page.locator(".panel-age")).to_have_count(0)
    finally:
        web.stop()


def test_the_tab_counts_whoever_is_not_well_on_primary(live_redis: str, page: Page) -> None:
    fleet = live_fleet.make(4)
    live_fleet.move(fleet.rows[0], fleet.secondary)
    for row, state in zip(fleet.rows[1:3], ("held", "disabled"), strict=True):
        Registration.objects.filter(pk=row.pk).update(state=state, server=None)
    web = whole()
    try:
        log_in(page, web)
        with worker():
            page.goto(f"http://127.0.0.1:{web.port}/")
            expect(page).to_have_title("(2) Overview · Rollcall")
            icon = page.locator("link[rel=icon]")
            expect(icon).to_have_attribute("href", re.compile("favicon-trouble"))
            Registration.objects.update(state="primary", server=fleet.primary)
            publish(fleet.rows[0])
            expect(page).to_have_title("Overview · Rollcall")
            expect(icon).not_to_have_attribute("href", re.compile("trouble"))
    finally:
        web.stop()


@pytest.mark.parametrize("path", ["/", "/groups/", "/groups/{}/"])
def test_a_group_says_live_what_holds_its_handsets_away(
    live_redis: str, page: Page, path: str
) -> None:
    fleet = live_fleet.make(1)
    web = whole()
    try:
        log_in(page, web)
        with worker():
            page.goto(f"http://127.0.0.1:{web.port}{path.format(fleet.group.pk)}")
            hold = page.locator("[data-hold]")
            expect(page.locator("body")).to_have_attribute("data-live", "live")
            expect(hold).to_be_hidden()
            hours = {"days": "1234567", "begins": "00:00", "ends": "00:00"}
            QuietHours.objects.create(group=fleet.group, made_by="olga", **hours)
            publish(fleet.rows[0])
            expect(hold).to_contain_text("No-failback hours until")
            page.reload()
            expect(hold).to_contain_text("No-failback hours until")
    finally:
        web.stop()


def seconds_left(page: Page) -> int:
    """What the first handset's countdown says."""
    words = page.locator('[data-part="next"]').first.inner_text()
    minutes, _, seconds = words.removeprefix("in ").partition(":")
    return int(minutes) * 60 + int(seconds)


@pytest.mark.parametrize(
    ("shift", "said"), [(-200, "3 min behind Rollcall's"), (200, "3 min ahead of Rollcall's")]
)
def test_countdowns_go_by_rollcalls_clock_where_the_computers_is_off(
    live_redis: str, page: Page, shift: int, said: str
) -> None:
    fleet = live_fleet.make(1)
    due = datetime.now(UTC) + timedelta(minutes=10)
    fleet.rows[0].next_attempt_at = fleet.rows[0].due_at = due
    fleet.rows[0].save()
    page.add_init_script(f"const real = Date.now; Date.now = () => real() + {shift} * 1000;")
    web = whole()
    try:
        log_in(page, web)
        with worker():
            page.goto(f"http://127.0.0.1:{web.port}/handsets/")
            expect(page.locator("body")).to_have_attribute("data-live", "live")
            expect(page.locator("#clock-banner")).to_contain_text(said)
            expect(page.locator("#live-banner")).to_be_hidden()
            expect(page.locator('[data-part="next"]')).to_contain_text(":")
            left = (due - datetime.now(UTC)).total_seconds()
            assert abs(seconds_left(page) - left) < 5
            page.evaluate(f"Date.now = ((off) => () => off() - {shift} * 1000)(Date.now)")
            expect(page.locator("#clock-banner")).to_be_hidden()
    finally:
        web.stop()


def test_the_tab_says_how_many_are_in_trouble_on_every_page(live_redis: str, page: Page) -> None:
    fleet = live_fleet.make(3)
    web = whole()
    try:
        log_in(page, web)
        with worker():
            for path, title in (("handsets", "Handsets"), ("jobs", "Jobs"), ("history", "History")):
                page.goto(f"http://127.0.0.1:{web.port}/{path}/")
                expect(page).to_have_title(f"{title} · Rollcall")
            fleet.rows[0].state, fleet.rows[0].server = State.UNREGISTERED, None
            fleet.rows[0].save()
            publish(fleet.rows[0])
            expect(page).to_have_title("(1) History · Rollcall")
            icon = page.locator("link[rel=icon]")
            expect(icon).to_have_attribute("href", re.compile("trouble"))
            fleet.rows[0].state, fleet.rows[0].server = State.PRIMARY, fleet.primary
            fleet.rows[0].save()
            publish(fleet.rows[0])
            expect(page).to_have_title("History · Rollcall")
            expect(icon).not_to_have_attribute("href", re.compile("trouble"))
    finally:
        web.stop()


def test_what_arrives_live_is_in_the_zone_the_viewer_chose(live_redis: str, page: Page) -> None:
    fleet = live_fleet.make(2)
    Site.objects.update(time_zone="America/Denver")
    web = whole()
    try:
        log_in(page, web)
        with worker():
            page.goto(f"http://127.0.0.1:{web.port}/")
            expect(page.locator("body")).to_have_attribute("data-live", "live")
            page.get_by_label("Account").click()
            page.get_by_text("Times: each site's own").click()
            dialog = page.get_by_role("dialog")
            dialog.get_by_label("Zone", exact=True).select_option("Europe/Berlin")
            dialog.get_by_role("button", name="Show times so").click()
            page.get_by_label("Account").click()
            expect(page.get_by_text("Times: Europe/Berlin")).to_be_visible()
            expect(page.locator("body")).to_have_attribute("data-live", "live")
            moved = live_fleet.move(fleet.rows[0], fleet.secondary)
            publish(fleet.rows[0])
            shown = page.locator("#changes time").first
            there = moved.at.astimezone(ZoneInfo("Europe/Berlin")).strftime("%H:%M:%S %Z")
            expect(shown).to_have_text(there)
            utc = moved.at.strftime("%Y-%m-%d %H:%M:%S UTC")
            expect(shown).to_have_attribute("title", utc)
            page.reload()
            expect(shown).to_have_text(there)
    finally:
        web.stop()


def test_one_of_two_workers_that_falls_silent_is_named(live_redis: str, page: Page) -> None:
    live_fleet.make(1)
    web = whole()
    try:
        log_in(page, web)
        banner = page.locator("#live-banner")

        def tells_of_night(message: str | bytes) -> bool:
            return '"name":"night"' in str(message)

        with worker("day"):
            with worker("night"):
                with page.expect_websocket() as opening:
                    page.goto(f"http://127.0.0.1:{web.port}/")
                opening.value.wait_for_event("framereceived", tells_of_night)
            expect(banner).to_contain_text("Worker night not heard since")
            expect(page.locator("#states .panel-age")).to_contain_text("Incomplete since")
            with worker("night"):
                expect(banner).to_be_hidden()
    finally:
        web.stop()


def test_the_theme_of_the_admin_pages_leaves_that_of_the_product_alone(
    live_redis: str, page: Page
) -> None:
    web = whole()
    page.emulate_media(color_scheme="dark")
    log_in(page, web)
    try:
        page.goto(f"http://127.0.0.1:{web.port}/")
        # What Django's own switch keeps; it means nothing here.
        page.evaluate("localStorage.setItem('theme', 'auto')")
        page.goto(f"http://127.0.0.1:{web.port}/handsets/")
        expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    finally:
        web.stop()


def test_a_time_of_another_year_names_the_year(live_redis: str, page: Page) -> None:
    web = whole()
    log_in(page, web)
    try:
        page.goto(f"http://127.0.0.1:{web.port}/?at=2020-01-01T00:00:00Z")
        expect(page.locator("body")).to_have_attribute("data-live", re.compile("."))
        expect(page.locator("main")).to_contain_text("As it was at 1 Jan 2020 00:00:00 UTC")
    finally:
        web.stop()


@pytest.mark.parametrize("how", ["deleted", "moved", "limited"])
def test_a_page_of_what_is_gone_shows_nothing_of_it_as_live(
    live_redis: str, page: Page, how: str
) -> None:
    fleet = live_fleet.make(2)
    vera = make_user("vera", Role.VIEWER)
    if how == "moved":
        SiteLimit.objects.create(user=vera, site=fleet.site)
    other = make_site("blackbird")
    web = whole()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    gone, kept = fleet.rows
    if how == "limited":
        Registration.objects.filter(pk=kept.pk).update(site=other)
    try:
        with worker():
            log_in(page, web, vera)
            listed = page.context.new_page()
            page.goto(f"http://127.0.0.1:{web.port}/handsets/{gone.line.handset_id}/")
            listed.goto(f"http://127.0.0.1:{web.port}/handsets/")
            for each in (page, listed):
                body = each.locator("body")
                expect(body).to_have_attribute("data-live", "live")
                expect(each.locator("#main")).to_contain_text("On primary")
            if how == "deleted":
                gone.line.handset.delete()
            elif how == "moved":
                Registration.objects.filter(pk=gone.pk).update(site=other)
                type(gone.line.handset).objects.filter(pk=gone.line.handset_id).update(site=other)
            else:
                SiteLimit.objects.create(user=vera, site=other)
            banner = page.locator("#live-banner")
            expect(banner).to_contain_text("This handset is not there any more")
            expect(page.locator("body")).to_have_attribute("data-live", "stale")
            expect(page.locator("#main")).not_to_contain_text("On primary")
            row = listed.locator(f'[data-registration-id="{gone.pk}"]')
            expect(row).to_contain_text("Not there any more")
            expect(row).not_to_contain_text("On primary")
            other_row = listed.locator(f'[data-registration-id="{kept.pk}"]')
            expect(other_row).to_contain_text("On primary")
            expect(listed.locator("body")).to_have_attribute("data-live", "live")
            assert faults == []
    finally:
        web.stop()
