"""The pages in Chromium: a row that moves by itself, the way home, the export, the stale page.

A small fleet with `fast_failover` and short times, so that one look follows the other quickly.
"""

import csv
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.fleet import PRIMARY, SECONDARY, WARD_POLICY
from tests.support.hospital import Hospital, hospital
from tests.support.product import ADMIN, PASSWORD
from tests.support.stores import Postgres
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(600), pytest.mark.browser]

MOVE = 45_000
"""Milliseconds in which a handset must be shown on the other server: one renewal and a bit."""


@pytest.fixture(scope="module")
def the_gallery(run_dir: Path, postgres: Postgres) -> Iterator[Hospital]:
    with hospital(
        run_dir / "gallery",
        addresses=(PRIMARY, SECONDARY),
        group="ward",
        count=20,
        policy={**WARD_POLICY, "expires": 20, "fail_back_timeout": 0, "fast_failover": True},
        database_url=postgres.create("gallery"),
    ) as running:
        yield running


@pytest.fixture
def gallery(the_gallery: Hospital) -> Hospital:
    the_gallery.go_home()
    return the_gallery


@pytest.fixture
def desk(page: Page, gallery: Hospital) -> Iterator[Page]:
    """A page whose user has logged in by the form. Anything the page complains about fails."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.goto(f"{gallery.product.url}/handsets/")
    expect(page).to_have_url(f"{gallery.product.url}/accounts/login/?next=/handsets/")
    page.get_by_label("User name").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{gallery.product.url}/handsets/")
    yield page
    assert complaints == []


def row_of(page: Page, hospital: Hospital, extension: str) -> tuple[int, str]:
    """The registration of an extension and the selector of its row."""
    rows = hospital.product.registrations(q=extension)
    number = next(int(row["id"]) for row in rows if row["extension"] == extension)
    return number, f'tr[data-registration-id="{number}"]'


def test_a_wrong_password_stays_outside(page: Page, gallery: Hospital) -> None:
    page.goto(f"{gallery.product.url}/accounts/login/")
    page.get_by_label("User name").fill(ADMIN)
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.goto(f"{gallery.product.url}/history/")
    expect(page).to_have_url(f"{gallery.product.url}/accounts/login/?next=/history/")


def test_a_row_moves_without_reload_and_is_brought_home_through_the_page(
    desk: Page, gallery: Hospital
) -> None:
    number, row = row_of(desk, gallery, gallery.extensions[7])
    state = desk.locator(f'{row} [data-part="state"]')
    expect(state).to_have_text("On primary")
    expect(desk.locator("#live-state")).to_have_attribute("data-live", "live")
    desk.evaluate("window.notReloaded = true")

    gallery.primary.kill()
    expect(state).to_have_text("On secondary", timeout=MOVE)
    assert desk.evaluate("window.notReloaded") is True
    gallery.wait_for(gallery.secondary, 45)

    gallery.primary.start()
    desk.locator(f'{row} input[type="checkbox"]').check()
    desk.get_by_role("button", name="Bring home", exact=True).click()
    dialog = desk.get_by_role("dialog")
    expect(dialog).to_contain_text("Bring 1 handset home?")
    dialog.get_by_role("button", name="Bring 1 home").click()
    expect(desk.get_by_role("main")).to_contain_text("1 of 1")
    expect(desk.get_by_role("main")).to_contain_text("Moved to primary")
    extension = gallery.extensions[7]
    wait_until(lambda: extension in gallery.primary.locations(), 30, f"{extension} is home")
    assert set(gallery.primary.locations()) == {extension}, "others were moved too"

    desk.goto(f"{gallery.product.url}/handsets/")
    # "…, server silent" until the probes have believed in its return.
    expect(state).to_have_text("On primary")
    moved = gallery.product.every("transitions", registration=number, cause="forced_failback")
    assert [row["asked_by"] for row in moved] == [ADMIN]


def test_the_export_holds_exactly_the_filtered_history(
    desk: Page, gallery: Hospital, tmp_path: Path
) -> None:
    gallery.primary.kill()
    gallery.wait_for(gallery.secondary, 45)
    gallery.wait_for_state("secondary", 30)
    desk.goto(f"{gallery.product.url}/history/?cause=failover&q={gallery.extensions[3]}")
    desk.locator("#export > summary").click()
    with desk.expect_download() as download:
        desk.locator('[data-export][href*="format=csv"]').click()
    path = tmp_path / "export.csv"
    download.value.save_as(path)
    with path.open(newline="") as file:
        exported = list(csv.DictReader(file))
    rows = gallery.product.every("transitions", cause="failover", q=gallery.extensions[3])
    assert rows, "nothing to compare"
    assert {row["extension"] for row in rows} == {gallery.extensions[3]}
    assert {int(row["id"]): row["reason"] for row in exported} == {
        row["id"]: row["reason"] for row in rows
    }
    stored = gallery.sql(
        "SELECT id, mac, from_state, to_state, to_server, cause FROM registrations_transition "
        "WHERE extension = %s AND cause = 'failover'",
        gallery.extensions[3],
    )
    columns = ("mac", "from_state", "to_state", "to_server", "cause")
    assert {(int(r["id"]), *(r[c] for c in columns)) for r in exported} == set(stored)


def test_a_stopped_worker_shows_within_ten_seconds_and_its_return_too(
    desk: Page, gallery: Hospital
) -> None:
    desk.goto(f"{gallery.product.url}/")
    banner = desk.locator("#live-banner")
    expect(desk.locator("#live-state")).to_have_attribute("data-live", "live")
    expect(banner).to_be_hidden()
    (worker,) = gallery.product.running_workers()
    worker.signal_group(signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        expect(banner).to_be_visible(timeout=11_000)
        assert time.monotonic() - stopped <= 11
        expect(banner).to_contain_text("No worker")
        wait_until(
            lambda: gallery.product.request("GET", "/readyz")[0] == 503, 30, "readyz says 503"
        )
        assert b"worker" in gallery.product.request("GET", "/readyz")[1]
    finally:
        worker.signal_group(signal.SIGCONT)
    expect(banner).to_be_hidden()
    gallery.wait_for_state("primary", 30)


def test_a_page_whose_server_is_gone_says_since_when(desk: Page, gallery: Hospital) -> None:
    desk.goto(f"{gallery.product.url}/")
    banner = desk.locator("#live-banner")
    expect(desk.locator("#live-state")).to_have_attribute("data-live", "live")
    assert gallery.product.web is not None
    gallery.product.web.signal_group(signal.SIGSTOP)
    try:
        expect(banner).to_be_visible()
        expect(banner).to_contain_text("No news from Rollcall since")
    finally:
        gallery.product.web.signal_group(signal.SIGCONT)
    expect(banner).to_be_hidden()
