"""The wallboard in Chromium, on a big screen without a log-in: it moves, turns, and never lies."""

import re

import pytest
from playwright.sync_api import Page, expect

from registrations import wallboards
from registrations.models import WallboardToken
from tests.registrations import live_fleet
from tests.registrations.live_web import publish, whole, worker

pytestmark = pytest.mark.django_db(transaction=True)

SHOWN = """() => [...document.querySelectorAll(".board-group:not([hidden])")].map(
    (card) => [card.querySelector("h2 span").textContent, card.getBoundingClientRect().bottom])"""


def test_it_follows_the_fleet_and_says_so_large_when_it_cannot(live_redis: str, page: Page) -> None:
    fleet = live_fleet.make(3)
    key = wallboards.make("lobby", [], [], by="vera")
    alarm = page.locator("#board-not-live")
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.set_viewport_size({"width": 1920, "height": 1080})
    web = whole()
    try:
        with worker():
            page.goto(f"http://127.0.0.1:{web.port}/wallboard/{key}/")
            page.evaluate("window.sameDocument = true")
            body = page.locator("body")
            expect(body).to_have_attribute("data-live", "live")
            expect(alarm).to_be_hidden()
            expect(page.locator("#board-clock")).to_have_text(re.compile(r"\d\d:\d\d:\d\d UTC"))
            live_fleet.move(fleet.rows[0], fleet.secondary)
            publish(fleet.rows[0])
            moved = "2 of 3 on primary; 1 on secondary since"
            expect(page.locator("h1")).to_contain_text(moved)
            expect(page.locator(".board-moves li")).to_contain_text("On secondary")
            web.stop()
            expect(alarm).to_have_text(re.compile(r"NOT LIVE since \d\d:\d\d:\d\d UTC"))
            assert "grayscale" in page.locator("#board").evaluate("e => getComputedStyle(e).filter")
            width = alarm.evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
            assert width > 80, "not to be read from five metres"
            web = whole(web.port)
            expect(alarm).to_be_hidden()
        expect(alarm).to_contain_text("NOT LIVE since")
        with worker():
            expect(alarm).to_be_hidden()
            WallboardToken.objects.all().delete()
            web.stop()
            web = whole(web.port)
            revoked = "An admin has revoked this screen's address"
            expect(page.locator("#live-banner")).to_contain_text(revoked)
            expect(alarm).to_be_visible()
        assert page.evaluate("window.sameDocument")
        assert not faults
    finally:
        web.stop()


def test_many_groups_take_turns_and_none_is_cut(live_redis: str, page: Page) -> None:
    for n in range(14):
        live_fleet.make(1, name=f"ward {n:02}", first=n + 1)
    key = wallboards.make("lobby", [], [], by="vera")
    page.set_viewport_size({"width": 1920, "height": 1080})
    web = whole()
    try:
        with worker():
            page.goto(f"http://127.0.0.1:{web.port}/wallboard/{key}/")
            expect(page.locator("[data-pages]")).to_contain_text("of 14, the worst first")
            page.evaluate("document.fonts.ready")
            body = page.locator("body")
            expect(body).to_have_attribute("data-live", "live")
            seen: list[str] = []
            while len(set(seen)) < 14:
                now = page.evaluate(SHOWN)
                assert now[0][0] not in seen, "it turned round before all were shown"
                assert max(bottom for _, bottom in now) < 1080, "cut at the bottom"
                seen += [name for name, _ in now]
                page.keyboard.press("ArrowRight")
            text = f"JSON.stringify(({SHOWN})())"
            was = page.evaluate(text)
            page.wait_for_function(f"was => {text} !== was", arg=was)
            assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    finally:
        web.stop()
