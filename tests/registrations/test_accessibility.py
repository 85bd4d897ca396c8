"""Every page in Chromium, light and dark, wide and narrow: axe finds nothing against WCAG 2.2 AA.

The pages are those of the URL map: a new one that is neither visited here nor named as no page
fails the last test.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, Page

from tests.registrations.live_web import Web
from tests.support import pages, parts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1440, 390)]


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {
        "executable_path": parts.need("chromium"),
        "args": ["--disable-dev-shm-usage", "--disable-gpu"],
    }


@pytest.fixture
def site(live_redis: str) -> Iterator[Web]:
    from fleet.config.asgi import application

    web = Web(application)
    web.start()
    yield web
    web.stop()


def faults_of(page: Page, name: str, look: str) -> list[str]:
    found = Axe().run(page, options=RULES | {"resultTypes": ["violations"]})
    return [
        f"{name} ({look}): {violation['id']}: {violation['help']}: {node['html'][:160]}"
        for violation in found.response["violations"]
        for node in violation["nodes"]
    ]


def test_no_page_breaks_a_rule_of_accessibility(site: Web, browser: Browser) -> None:
    ids = pages.make_fleet()
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    origin = f"http://127.0.0.1:{site.port}"
    session = client.cookies["sessionid"].value
    faults: list[str] = []
    for theme, width in LOOKS:
        context = browser.new_context(
            color_scheme=theme,  # type: ignore[arg-type]
            viewport={"width": width, "height": 900},
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.goto(f"{origin}{reverse('login')}")
        faults += faults_of(page, "login", f"{theme}, {width} px")
        context.add_cookies([{"name": "sessionid", "value": session, "url": origin}])
        for name, address in [*pages.addresses(ids), *pages.addresses_then(ids)]:
            answer = page.goto(f"{origin}{address}")
            assert answer is not None and answer.ok, name
            faults += faults_of(page, name, f"{theme}, {width} px")
        context.close()
    assert faults == []


def test_every_page_is_visited() -> None:
    assert pages.known_addresses() == {*pages.PAGES, *pages.NO_PAGES}
