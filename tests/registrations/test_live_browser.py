"""live.js in Chromium: rows change without reload, and the page says since when it is not live."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, expect

from registrations import live
from tests.registrations import live_fleet
from tests.registrations.live_web import Web, publish
from tests.support import parts

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 1000


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {
        "executable_path": parts.need("chromium"),
        "args": ["--disable-dev-shm-usage", "--disable-gpu"],
    }


@contextmanager
def worker(name: str = "worker-1") -> Iterator[None]:
    """A worker that is alive, as far as anybody can hear."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.5):
            live.beat(name)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def whole(port: int = 0) -> Web:
    from fleet.config.asgi import application

    web = Web(application, port)
    web.start()
    return web


def test_a_page_lives_says_when_it_does_not_and_recovers(live_redis: str, page: Page) -> None:
    fleet = live_fleet.make(3)
    row = page.locator(f'[data-registration-id="{fleet.rows[0].pk}"]')
    banner = page.locator("#live-banner")
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    web = whole()
    page.context.add_cookies(
        [
            {
                "name": "sessionid",
                "value": client.cookies["sessionid"].value,
                "url": f"http://127.0.0.1:{web.port}",
            }
        ]
    )

    def state(expected: str, seconds: int) -> None:
        expect(page.locator("body")).to_have_attribute(
            "data-live", expected, timeout=seconds * SECONDS
        )

    try:
        with worker():
            page.goto(f"http://127.0.0.1:{web.port}/handsets/")
            page.evaluate("window.sameDocument = true")
            state("live", 5)
            expect(banner).to_be_hidden()
            live_fleet.move(fleet.rows[0], fleet.secondary)
            publish(fleet.rows[0])
            expect(row).to_contain_text("On secondary", timeout=2 * SECONDS)

            page.locator("#filter-text").fill("4003")
            expect(page.locator("[data-registration-id]")).to_have_count(1)
            live_fleet.move(fleet.rows[2], fleet.secondary)
            publish(fleet.rows[2])
            expect(page.locator("[data-registration-id]")).to_contain_text("On secondary")
        state("worker-silent", 10)
        expect(banner).to_contain_text("No worker heard since")
        with worker():
            state("live", 3)
            expect(banner).to_be_hidden()
            web.stop()
            state("stale", 10)
            expect(banner).to_contain_text("No news from Rollcall since")
            fleet.rows[2].state, fleet.rows[2].server = "primary", fleet.primary
            fleet.rows[2].save()
            web = whole(web.port)
            state("live", 16)
            expect(page.locator("[data-registration-id]")).to_contain_text("On primary")
        assert page.evaluate("window.sameDocument")
        assert not faults
    finally:
        web.stop()


def test_a_page_whose_session_ended_says_so(live_redis: str, page: Page) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    web = whole()
    origin = f"http://127.0.0.1:{web.port}"
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": origin}
    page.context.add_cookies([cookie])  # type: ignore[list-item]
    try:
        with worker():
            page.goto(f"{origin}/")
            body = page.locator("body")
            expect(body).to_have_attribute("data-live", "live", timeout=5 * SECONDS)
            client.session.flush()
            web.stop()
            web = whole(web.port)
            expect(page.locator("#live-banner")).to_contain_text("logged out", timeout=10 * SECONDS)
    finally:
        web.stop()
