"""The open page while a part of Rollcall is dead: what it says, what turns grey, how it recovers.

Each part is the real one, stopped where it stands, so that its connections stay open: nothing but
its silence tells that it is gone.
"""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Page, expect

from tests.support.fleet import PRIMARY, SECONDARY, WARD_POLICY
from tests.support.hospital import Hospital, hospital
from tests.support.product import ADMIN, PASSWORD
from tests.support.stores import Postgres

pytestmark = [pytest.mark.timeout(600), pytest.mark.browser]

NOTICED = 20_000
"""Milliseconds in which a dead part must be named: ten seconds, on a machine that does more."""

BACK = 40_000


@pytest.fixture(scope="module")
def clinic(run_dir: Path, postgres: Postgres) -> Iterator[Hospital]:
    with hospital(
        run_dir / "clinic",
        addresses=(PRIMARY, SECONDARY),
        group="ward",
        count=5,
        policy={**WARD_POLICY, "expires": 20},
        database_url=postgres.create("clinic"),
    ) as running:
        yield running


@pytest.fixture
def overview(page: Page, clinic: Hospital) -> Iterator[Page]:
    """The overview, live, of a page that is never loaded again."""
    clinic.go_home()
    page.goto(f"{clinic.product.url}/")
    page.get_by_label("User name").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    is_live(page)
    page.evaluate("window.notReloaded = true")
    yield page
    is_live(page)
    expect(page.locator(".panel-age")).to_have_count(0)
    expect(page).to_have_title("Overview · Rollcall")
    assert page.evaluate("window.notReloaded") is True


@contextmanager
def stopped(process_id: int, *, group: bool = False) -> Iterator[None]:
    tell = os.killpg if group else os.kill
    tell(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        tell(process_id, signal.SIGCONT)


def is_live(page: Page) -> None:
    expect(page.locator("body")).to_have_attribute("data-live", "live", timeout=BACK)
    expect(page.locator("#live-banner")).to_be_hidden()


def is_told(page: Page, status: str, short: str, sentence: str) -> None:
    """The banner, the word beside it, each live panel's age, the tab's title and icon."""
    expect(page.locator("body")).to_have_attribute("data-live", status, timeout=NOTICED)
    expect(page.locator("#live-state")).to_have_text(short)
    expect(page.locator("#live-banner")).to_contain_text(sentence)
    expect(page.locator("#states .panel-age")).to_contain_text("ago")
    expect(page).to_have_title("(?) Overview · Rollcall")
    expect(page.locator("link[rel=icon]")).to_have_attribute("href", re.compile("trouble"))


def test_beat_is_dead(overview: Page, clinic: Hospital) -> None:
    with stopped(clinic.product.beat.pid, group=True):
        is_told(overview, "worker-silent", "Beat silent", "Beat is silent since")
        # Workers look for what falls due themselves when nobody hints.
        clinic.all_renew(60)
    expect(overview.locator('[data-tile="primary"] .tile-count')).to_have_text("5", timeout=BACK)


def test_redis_is_dead(overview: Page, clinic: Hospital) -> None:
    with redis.Redis.from_url(clinic.product.env["REDIS_URL"]) as client:
        process_id = int(client.info("server")["process_id"])
    with stopped(process_id):
        is_told(overview, "worker-silent", "Redis silent", "Redis is out of reach since")
        clinic.all_renew(60)


def test_the_worker_is_dead(overview: Page, clinic: Hospital) -> None:
    (worker,) = clinic.product.running_workers()
    with stopped(worker.pid, group=True):
        is_told(overview, "worker-silent", "Worker silent", "No worker heard since")


def test_the_web_process_is_dead(overview: Page, clinic: Hospital) -> None:
    assert clinic.product.web is not None
    with stopped(clinic.product.web.pid, group=True):
        is_told(overview, "stale", "Not live", "No news from Rollcall since")


def test_the_web_process_is_killed_and_another_takes_its_place(
    overview: Page, clinic: Hospital
) -> None:
    assert clinic.product.web is not None
    clinic.product.web.kill()
    is_told(overview, "stale", "Not live", "No news from Rollcall since")
    clinic.product.start_web()


def test_the_database_is_out_of_reach(overview: Page, clinic: Hospital, postgres: Postgres) -> None:
    name = clinic.product.env["DATABASE_URL"].rpartition("/")[2]
    connection = postgres.connect("postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            is_told(overview, "stale", "Not live", "The database is out of reach")
        finally:
            cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    connection.close()
