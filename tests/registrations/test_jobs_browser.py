"""Jobs and drains in Chromium: the dialogs, what they name, and what can be done meanwhile."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from registrations.models import Drain, Job
from tests.registrations import live_fleet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]


def site_of(page: Page) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(page.url))


def away(count: int) -> live_fleet.Fleet:
    """A group of `count`, all but the first on the secondary."""
    fleet = live_fleet.make(count)
    for row in fleet.rows[1:]:
        live_fleet.move(row, fleet.secondary)
    return fleet


def test_a_group_is_brought_home_by_a_dialog_that_names_whom_and_can_be_paused_and_cancelled(
    desk: Page,
) -> None:
    fleet = away(4)
    desk.goto(f"{site_of(desk)}/groups/{fleet.group.pk}/")
    desk.get_by_role("link", name=re.compile("Bring .*home")).first.click()
    dialog = desk.get_by_role("dialog")
    expect(dialog).to_contain_text("Bring 3 handsets home?")
    expect(dialog).to_contain_text("Already on primary, not touched")
    expect(dialog).to_contain_text("goes first, as a canary")
    dialog.get_by_role("button", name="Bring 3 home").click()
    expect(desk).to_have_url(re.compile(r"/jobs/\d+/"))
    expect(desk.locator("#job")).to_contain_text("asked by admin")
    desk.locator("#job-pause").click()
    expect(desk.locator("#job-resume")).to_be_visible()
    desk.locator("#job-resume").click()
    expect(desk.locator("#job-pause")).to_be_visible()
    desk.locator("#job-cancel").click()
    expect(desk.locator("#job")).to_contain_text("cancelled by admin")
    assert Job.objects.get().cancelled_by == "admin"


def test_a_dialog_that_is_left_orders_nothing(desk: Page) -> None:
    fleet = away(2)
    desk.goto(f"{site_of(desk)}/groups/{fleet.group.pk}/")
    desk.get_by_role("link", name=re.compile("Bring .*home")).first.click()
    desk.get_by_role("dialog").get_by_role("link", name="Leave them").click()
    expect(desk.get_by_role("dialog")).to_have_count(0)
    assert not Job.objects.exists()


def test_a_server_is_drained_by_a_dialog_and_the_drain_is_ended_from_its_page(desk: Page) -> None:
    fleet = live_fleet.make(3)
    desk.goto(f"{site_of(desk)}/servers/{fleet.primary.pk}/")
    desk.get_by_role("link", name=re.compile("Drain")).click()
    dialog = desk.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Drain {fleet.primary}?")
    expect(dialog.locator(".touched li").first).to_contain_text("3")
    dialog.get_by_role("button", name=re.compile("Drain")).click()
    expect(desk.locator("#drains")).to_contain_text("asked by admin")
    drain = Drain.objects.get()
    assert drain.away is not None and drain.away.kind == Job.Kind.DRAIN
    desk.goto(f"{site_of(desk)}/servers/{fleet.primary.pk}/")
    desk.locator(f"#drain-end-{drain.pk}").click()
    expect(desk.locator(f"#drain-end-{drain.pk}")).to_have_count(0)
    drain.refresh_from_db()
    assert drain.ended_by == "admin"


def test_a_drain_whose_end_is_before_its_begin_is_refused_in_the_dialog(desk: Page) -> None:
    fleet = live_fleet.make(1)
    desk.goto(f"{site_of(desk)}/servers/{fleet.primary.pk}/")
    desk.get_by_role("link", name=re.compile("Drain")).click()
    dialog = desk.get_by_role("dialog")
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M}"
    dialog.get_by_label(re.compile("^Ends")).fill(yesterday)
    dialog.get_by_role("button", name=re.compile("^Drain")).click()
    expect(desk.get_by_text(re.compile("It (must end|would be over)"))).to_be_visible()
    assert not Drain.objects.exists()
