"""Incidents in Chromium: the bell and the overview tell of one without a reload, and of its end."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from registrations.alerts import looking
from registrations.models import Incident, ServerHealth
from tests.registrations import live_fleet

pytestmark = pytest.mark.django_db(transaction=True)

LIVE_MS = 15_000


def site_of(page: Page) -> str:
    return page.url.split("/groups/")[0]


def test_an_incident_is_seen_taken_in_hand_and_seen_to_be_over_without_a_reload(
    desk: Page,
) -> None:
    fleet, now = live_fleet.make(3), timezone.now()
    desk.goto(f"{site_of(desk)}/")
    count = desk.locator("#bell .bell-count")
    expect(desk.locator("body")).to_have_attribute("data-live", "live", timeout=LIVE_MS)
    expect(count).to_be_hidden()
    desk.evaluate("window.sameDocument = true")
    live_fleet.silence(fleet.primary, fleet.site)
    looking.look(now + timedelta(seconds=10))
    expect(count).to_have_text("1", timeout=LIVE_MS)
    told = desk.locator("#incidents-open")
    expect(told).to_contain_text("of ward silent", timeout=LIVE_MS)
    expect(told).to_contain_text("1 incident, 1 not acknowledged")
    assert desk.evaluate("window.sameDocument")

    told.get_by_role("link", name=re.compile("of ward silent")).click()
    desk.get_by_label("What you know, or will do").fill("I am in the switch room.")
    desk.get_by_role("button", name="Acknowledge").click()
    incident = desk.locator("#incident")
    expect(incident).to_contain_text("I am in the switch room.")
    expect(desk.get_by_role("button", name="Add")).to_be_visible()

    expect(desk.locator("body")).to_have_attribute("data-live", "live", timeout=LIVE_MS)
    expect(count).to_have_text("1", timeout=LIVE_MS)
    desk.get_by_label("What you know, or will do").fill("half a sentence")
    ServerHealth.objects.update(condition="up")
    for seconds in (20, 90):
        looking.look(now + timedelta(seconds=seconds))
    assert Incident.objects.get().state == "resolved"
    expect(incident).to_contain_text("Over", timeout=LIVE_MS)
    expect(count).to_be_hidden()
    expect(desk.get_by_label("What you know, or will do")).to_have_value("half a sentence")


@pytest.mark.parametrize("width", [1440, 390])
def test_the_list_fits_its_card_however_much_there_is_to_say(desk: Page, width: int) -> None:
    fleet, now = live_fleet.make(3), timezone.now()
    live_fleet.silence(fleet.primary, fleet.site)
    looking.look(now + timedelta(seconds=10))
    Incident.objects.update(
        happened="PBX B does not answer: no handset is registered there. " * 4,
        sites=["childrens-hospital", "riverside-clinic", "st-anna-hospital"] * 3,
        acknowledged_by="the night shift",
    )
    desk.set_viewport_size({"width": width, "height": 844})
    desk.goto(f"{site_of(desk)}/incidents/")
    expect(desk.get_by_text("the night shift")).to_be_visible()
    assert desk.evaluate("document.documentElement.scrollWidth") <= width
    sizes = "t => [t.scrollWidth, t.parentElement.clientWidth]"
    table, card = desk.locator("table.sheet").evaluate(sizes)
    assert table <= card
