"""The first run in Chromium, by keyboard alone: from an empty Rollcall to handsets that arrive."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from fleet.models import Line, Site
from registrations.models import Registration, State
from tests.registrations.live_web import log_in, publish, whole, worker

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = (
    "mac,extension,domain,auth_user,auth_password,group,site,supervision\n"
    "00907a000001,4101,pbx.example,4101,for-nobodys-eyes,Wards,main,register\n"
)


def make_site_and_group(page: Page) -> None:
    page.get_by_role("link", name="Set Rollcall up in five steps").press("Enter")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("main")
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/start/servers/$"))
    assert Site.objects.get().time_zone == "Asia/Tokyo"

    expect(page.locator("main [name=name]")).to_be_focused()
    page.keyboard.type("Wards")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("192.0.2.10")
    page.keyboard.press("Enter")


def test_five_steps_by_keyboard(live_redis: str, browser: Browser) -> None:
    context = browser.new_context(timezone_id="Asia/Tokyo")
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    web = whole()
    try:
        log_in(page, web)
        keys = page.keyboard
        page.goto(f"http://127.0.0.1:{web.port}/")
        make_site_and_group(page)
        expect(page).to_have_url(f"http://127.0.0.1:{web.port}/start/handsets/")

        page.get_by_label("or pasted").focus()
        keys.insert_text(TABLE.replace("Wards", "Ward"))
        keys.press("Tab")
        keys.press("Enter")
        told = page.locator("#preview")
        expect(told).to_contain_text("There is no group 'Ward'.")
        page.get_by_label("or pasted").fill(TABLE)
        keys.press("Tab")
        keys.press("Enter")
        expect(told).to_contain_text("1 line will register, but not before you say go")
        expect(page.get_by_label("or pasted")).to_have_value(TABLE)
        assert "for-nobodys-eyes" not in page.content()
        keys.press("Tab")
        keys.press("Enter")
        expect(page).to_have_url(f"http://127.0.0.1:{web.port}/start/people/")
        assert Line.objects.get().supervision == "off"

        page.get_by_role("link", name="Skip this step").press("Enter")
        expect(page.get_by_role("main")).to_contain_text("1 line of Wards registers at 192.0.2.10")
        page.get_by_role("button", name="Go").press("Enter")
        headline = page.locator("[data-summary=headline]")
        expect(headline).to_contain_text("1 registering")
        with worker():
            expect(page.locator("body")).to_have_attribute("data-live", "live")
            arrived = Registration.objects.get()
            arrived.state, arrived.server = State.PRIMARY, arrived.group.servers.get()
            arrived.save()
            publish(arrived)
            expect(headline).to_have_text("The one is on primary.")
        assert not faults
    finally:
        web.stop()
        context.close()
