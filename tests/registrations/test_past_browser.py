"""Looking back in Chromium: a page as it was, what changed since, reports, exports."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from fleet.models import Line
from registrations.models import Registration, Transition
from tests.registrations import live_fleet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]


@pytest.fixture
def moved_an_hour_ago() -> live_fleet.Fleet:
    """Three handsets at home since yesterday; the second fell over to the secondary an hour ago."""
    fleet, now = live_fleet.make(3), datetime.now(UTC)
    Line.objects.update(created_at=now - timedelta(days=2))
    for row in fleet.rows:
        arrived(row, now - timedelta(days=1))
    change = live_fleet.move(fleet.rows[1], fleet.secondary)
    Transition.objects.filter(pk=change.pk).update(
        at=now - timedelta(hours=1), handset_name="Nurse 2"
    )
    Registration.objects.filter(pk=fleet.rows[1].pk).update(since=now - timedelta(hours=1))
    return fleet


def arrived(row: Registration, at: datetime) -> None:
    Registration.objects.filter(pk=row.pk).update(since=at)
    Transition.objects.create(
        registration=row,
        at=at,
        mac=row.line.handset.mac,
        extension=row.line.extension,
        handset_name=row.line.handset.name,
        group_name=row.group.name,
        site_name=row.site.name,
        from_state="registering",
        from_server="",
        to_state="primary",
        to_server=str(row.server),
        cause="boot",
    )


def site_of(page: Page) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(page.url))


def two_hours_ago() -> str:
    return f"{datetime.now(UTC) - timedelta(hours=2):%Y-%m-%dT%H:%M:%S}"


def test_the_overview_is_looked_back_upon_and_left_for_the_present_again(
    desk: Page, moved_an_hour_ago: live_fleet.Fleet
) -> None:
    desk.goto(f"{site_of(desk)}/")
    headline = desk.locator("#headline, h1").first
    expect(headline).to_contain_text("2 of 3 on primary")
    desk.locator("#look-back summary").click()
    desk.get_by_label("At this time").fill(two_hours_ago())
    desk.get_by_role("button", name="Look back").click()
    then = desk.locator("#then")
    expect(then).to_contain_text("not live")
    expect(desk).to_have_url(re.compile(r"\?at="))
    expect(desk.locator("h1").first).to_contain_text("3 of 3")
    then.get_by_role("link", name="Back to now").click()
    expect(desk.locator("#then")).to_have_count(0)
    expect(headline).to_contain_text("2 of 3 on primary")


def test_the_list_of_then_keeps_its_filter_and_says_that_it_is_not_live(
    desk: Page, moved_an_hour_ago: live_fleet.Fleet
) -> None:
    desk.goto(f"{site_of(desk)}/handsets/?state=primary&at={two_hours_ago()}Z")
    expect(desk.locator("#then")).to_contain_text("not live")
    expect(desk.locator("tr", has_text="Nurse 2")).to_be_visible()
    desk.locator("#then").get_by_role("link", name="Back to now").click()
    expect(desk).to_have_url(re.compile("state=primary"))
    expect(desk.locator("tr", has_text="Nurse 1")).to_be_visible()
    expect(desk.locator("tr", has_text="Nurse 2")).to_have_count(0)


def test_from_a_change_in_the_history_to_the_fleet_of_that_moment_and_to_what_changed_since(
    desk: Page, moved_an_hour_ago: live_fleet.Fleet
) -> None:
    desk.goto(f"{site_of(desk)}/history/")
    moved = desk.locator("tbody tr", has_text="Secondary").first
    expect(moved).to_contain_text("Nurse 2")
    moved.get_by_title("The fleet at this moment").click()
    expect(desk.locator("#then")).to_contain_text("not live")
    desk.goto(f"{site_of(desk)}/?at={two_hours_ago()}Z")
    desk.locator("#then").get_by_role("link", name="What changed since").click()
    who = desk.get_by_role("region", name="Who")
    expect(who.locator("tbody tr")).to_have_count(1)
    expect(who).to_contain_text("Nurse 2")


def test_a_report_is_cut_by_handset_and_its_export_has_the_rows_that_the_page_shows(
    desk: Page, moved_an_hour_ago: live_fleet.Fleet, tmp_path: Path
) -> None:
    desk.goto(f"{site_of(desk)}/reports/")
    whole = desk.get_by_role("region", name="All together")
    expect(whole).to_contain_text("Failovers")
    desk.get_by_label("One row for each").get_by_role("link", name="Handset").click()
    expect(desk).to_have_url(re.compile("by=handset"))
    report = desk.get_by_role("region", name="Report")
    expect(report.locator("tbody tr")).to_have_count(3)
    desk.locator("#export summary").click()
    with desk.expect_download() as download:
        desk.locator("[data-export]", has_text="CSV").click()
    saved = tmp_path / "report.csv"
    download.value.save_as(saved)
    lines = saved.read_text().splitlines()
    assert len(lines) == 1 + 3
    assert sum("Nurse 2" in line for line in lines) == 1


def test_an_export_ordered_in_the_background_is_listed_and_can_be_called_off(
    desk: Page, moved_an_hour_ago: live_fleet.Fleet
) -> None:
    desk.goto(f"{site_of(desk)}/history/?state=secondary")
    desk.locator("#export summary").click()
    desk.locator("#export form").get_by_role("button", name="CSV").click()
    row = desk.locator("#exports tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("state=secondary")
    row.get_by_role("button", name=re.compile("Cancel|Delete")).click()
    expect(desk.locator("#exports")).to_contain_text("No export yet")
