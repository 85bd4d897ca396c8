"""Charts and lanes in Chromium: drawn, read by keyboard, appended, and moves seen moving."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from registrations.models import Census, State
from tests.registrations import live_fleet
from tests.registrations.live_web import Web, publish, worker
from tests.support import parts

pytestmark = pytest.mark.django_db(transaction=True)

PATCH = """([plot, x, y]) => {
  const canvas = document.querySelector(`[data-plot=${plot}] canvas`);
  const pen = canvas.getContext("2d");
  const { data } = pen.getImageData(canvas.width * x, canvas.height * y, 16, 16);
  const pixels = [];
  for (let at = 0; at < data.length; at += 4) pixels.push([...data.slice(at, at + 3)]);
  return pixels;
}"""
"""The colours of a patch of a chart."""


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {
        "executable_path": parts.need("chromium"),
        "args": ["--disable-dev-shm-usage", "--disable-gpu"],
    }


@contextmanager
def opened(browser: Browser, path: str = "/", **context: Any) -> Iterator[Page]:
    """A page of a whole web process; a fault of a script fails the test."""
    from fleet.config.asgi import application

    web = Web(application)
    web.start()
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    origin = f"http://127.0.0.1:{web.port}"
    made = browser.new_context(viewport={"width": 1440, "height": 1400}, **context)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": origin}
    made.add_cookies([cookie])  # type: ignore[list-item]
    page = made.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    try:
        page.goto(f"{origin}{path}")
        yield page
        assert faults == []
    finally:
        made.close()
        web.stop()


def count(minutes_ago: int, **states: int) -> None:
    at = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes_ago)
    Census.objects.create(at=at, states=states)


def legend(page: Page, key: str) -> Any:
    return page.locator(f".legend-key[data-key={key}] [data-value]")


def test_a_chart_is_drawn_with_its_gap_and_read_by_keyboard(
    live_redis: str, browser: Browser
) -> None:
    live_fleet.make(3)
    for minute in range(20, 0, -1):
        count(minute, primary=2, secondary=1)
    count(0, primary=3)
    with opened(browser, "/?span=1h") as page:
        expect(legend(page, "primary")).to_have_text("3")
        expect(page.locator(".legend-key[data-gap]")).to_be_visible()
        expect(page.locator(".legend-key[data-key=rejected]")).to_be_hidden()
        counted = page.evaluate(PATCH, ["all", 0.9, 0.7])
        assert all(blue > red + 60 for red, _, blue in counted), "all on primary, below"
        away = page.evaluate(PATCH, ["away", 0.9, 0.5])
        assert all(red > blue + 60 for red, _, blue in away), "one on secondary"
        gap = page.evaluate(PATCH, ["all", 0.3, 0.7])
        assert all(max(pixel) - min(pixel) < 25 for pixel in gap), "no state's colour"
        assert len({tuple(pixel) for pixel in gap}) > 1, "hatched, not empty"
        page.locator("[data-chart]").focus()
        page.keyboard.press("ArrowLeft")
        expect(legend(page, "secondary")).to_have_text("1")
        page.keyboard.press("PageDown")
        expect(legend(page, "secondary")).to_have_text("0")
        page.keyboard.press("PageUp")
        expect(page.locator("[data-reading]")).to_contain_text("not counted")


def test_a_chart_takes_up_what_is_counted_while_it_is_open(
    live_redis: str, browser: Browser
) -> None:
    live_fleet.make(1)
    count(2, primary=1)
    with opened(browser, "/?span=1h") as page:
        expect(legend(page, "primary")).to_have_text("1")
        count(0, primary=4, unregistered=2)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(legend(page, "primary")).to_have_text("4")
        expect(legend(page, "unregistered")).to_have_text("2")


def test_a_chart_that_cannot_be_read_says_so_and_recovers(
    live_redis: str, browser: Browser
) -> None:
    live_fleet.make(1)
    with opened(browser) as page:
        page.route("**/api/v1/census/**", lambda route: route.abort())
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.locator("[data-fault]")).to_contain_text("could not be read")
        page.unroute("**/api/v1/census/**")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.locator("[data-fault]")).to_be_hidden()


FLIGHTS = """() => {
  window.flights = [];
  new MutationObserver((changes) => {
    const added = changes.flatMap(({ addedNodes }) => [...addedNodes]);
    const flown = added.filter((node) => node.className === "flight");
    window.flights.push(...flown.map((node) => [node.textContent, node.dataset.state]));
  }).observe(document.body, { childList: true });
}"""


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_handsets_that_move_are_seen_moving_unless_motion_is_unwelcome(
    live_redis: str, browser: Browser, motion: str
) -> None:
    fleet = live_fleet.make(3)
    with worker(), opened(browser, reduced_motion=motion) as page:
        held = page.locator(f'.lane[data-server-id="{fleet.secondary.pk}"] [data-lane-held]')
        expect(page.locator("body")).to_have_attribute("data-live", "live")
        page.evaluate(FLIGHTS)
        for row in fleet.rows[:2]:
            live_fleet.move(row, fleet.secondary)
        publish(*fleet.rows[:2])
        expect(held).to_have_text("2")
        flown = page.evaluate("flights")
        assert sum(int(n) for n, _ in flown) == (2 if motion == "no-preference" else 0)
        assert {state for _, state in flown} <= {"secondary"}
        expect(page.locator(".flight")).to_have_count(0)


def test_who_moved_is_told_anew_when_somebody_moves(live_redis: str, browser: Browser) -> None:
    fleet = live_fleet.make(2)
    with worker(), opened(browser) as page:
        expect(page.locator("#moves")).to_contain_text("Nobody has changed servers")
        expect(page.locator("body")).to_have_attribute("data-live", "live")
        live_fleet.move(fleet.rows[0], fleet.secondary)
        publish(fleet.rows[0])
        moved = f"1 from {fleet.primary} to {fleet.secondary}"
        expect(page.locator("#moves")).to_contain_text(moved)


def test_a_servers_page_keeps_who_is_on_it_current(live_redis: str, browser: Browser) -> None:
    fleet = live_fleet.make(2)
    with worker(), opened(browser, f"/servers/{fleet.secondary.pk}/") as page:
        expect(page.locator("body")).to_have_attribute("data-live", "live")
        expect(page.locator("[data-on-server]")).to_have_text("No handset is on it.")
        live_fleet.move(fleet.rows[0], fleet.secondary)
        publish(fleet.rows[0])
        link = page.locator("[data-on-server] a")
        expect(link).to_have_text("1 on secondary")
        link.click()
        expect(page.locator("[data-registration-id]")).to_have_count(1)
        assert f"state={State.SECONDARY}" in page.url
