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
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from playwright.sync_api import Browser, Page

from registrations import failback
from registrations.models import State
from tests.registrations import live_fleet
from tests.registrations.live_web import Web
from tests.support import parts, rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1440, 390)]

PAGES: dict[str, tuple[Any, ...]] = {
    "overview": (),
    "handsets": (),
    "handset": ("handset",),
    "groups": (),
    "group": ("group",),
    "policy": ("group",),
    "override": ("held",),
    "history": (),
    "jobs": (),
    "job": ("job",),
    "job_new": (),
}
"""By URL name: whose ids its address takes, as `fleet` below names them."""

NO_PAGES = {
    "handset_by_mac": "sends on to the handset",
    "resume": "only takes a POST",
    "job_cancel": "only takes a POST",
    "demo_server": "only takes a POST",
    "logout": "only takes a POST",
    "healthz": "JSON",
    "readyz": "JSON",
}


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {
        "executable_path": parts.need("chromium"),
        "args": ["--disable-dev-shm-usage", "--disable-gpu"],
    }


@pytest.fixture
def ids() -> dict[str, int]:
    """A fleet that shows everything a page may have to say."""
    fleet = live_fleet.make(3, first=0x900001)
    live_fleet.move(fleet.rows[1], fleet.secondary)
    live_fleet.silence(fleet.primary, fleet.site)
    clinic = rows.make_group("clinic", mode="fallback")
    made = {state: rows.make_registration(clinic, state) for state in State if state != "unknown"}
    job = failback.order({"registrations": [fleet.rows[1].pk]}, "admin")
    return {
        "handset": fleet.rows[1].line.handset_id,
        "group": fleet.group.pk,
        "held": made[State.HELD].pk,
        "job": job.pk,
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


def test_no_page_breaks_a_rule_of_accessibility(
    site: Web, ids: dict[str, int], browser: Browser
) -> None:
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
        for name, wanted in PAGES.items():
            answer = page.goto(f"{origin}{reverse(name, args=[ids[key] for key in wanted])}")
            assert answer is not None and answer.ok, name
            faults += faults_of(page, name, f"{theme}, {width} px")
        context.close()
    assert faults == []


def names_of(patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    """The names of all addresses but the API's and Django's admin's."""
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield pattern.name or str(pattern.pattern)
        elif not str(pattern.pattern).startswith(("api/", "admin/")):
            yield from names_of(pattern.url_patterns)


def test_every_page_is_visited() -> None:
    names = set(names_of(get_resolver().url_patterns))
    assert names - {"login"} == {*PAGES, *NO_PAGES}
