"""Editing in Chromium: servers moved by keys and dragged, a handset's form, a deletion."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from fleet.models import Handset, Server, ServerGroup
from registrations.models import State
from tests.registrations.live_web import log_in, whole
from tests.support.rows import make_group, make_registration

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def group() -> ServerGroup:
    group = make_group(servers=3)
    for server, name in zip(group.servers.all(), ("PBX A", "PBX B", "PBX C"), strict=True):
        Server.objects.filter(pk=server.pk).update(name=name)
    make_registration(group, State.PRIMARY, name="Ward 4")
    return group


@pytest.fixture
def page(live_redis: str, browser: Browser, group: ServerGroup) -> Iterator[Page]:
    page = browser.new_context().new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    web = whole()
    try:
        log_in(page, web)
        page.goto(f"http://127.0.0.1:{web.port}/groups/{group.pk}/")
        yield page
        assert faults == []
    finally:
        page.context.close()
        web.stop()


def names(page: Page) -> list[str]:
    return page.locator("[data-place] .strong").all_inner_texts()


def kept(group: ServerGroup) -> list[str]:
    return [server.name for server in group.servers.order_by("priority")]


def test_servers_are_moved_by_keys_and_by_dragging(page: Page, group: ServerGroup) -> None:
    page.get_by_role("button", name="Move PBX C up").press("Enter")
    expect(page.get_by_text("The order is PBX A, PBX C and PBX B.")).to_be_visible()
    assert names(page) == kept(group) == ["PBX A", "PBX C", "PBX B"]
    expect(page.get_by_role("button", name="Move PBX C up")).to_be_focused()

    def drag(name: str, onto: str) -> None:
        rows = page.locator("[data-place]")
        start = rows.filter(has_text=name).locator("[data-drag]").bounding_box()
        end = rows.filter(has_text=onto).bounding_box()
        assert start and end
        page.mouse.move(start["x"] + 10, start["y"] + 10)
        page.mouse.down()
        page.mouse.move(end["x"] + 10, end["y"] + end["height"] / 2, steps=5)
        page.mouse.up()

    drag("PBX B", onto="PBX C")
    expect(page.get_by_text("The order is PBX A, PBX B and PBX C.")).to_be_visible()
    assert kept(group) == ["PBX A", "PBX B", "PBX C"]

    drag("PBX B", onto="PBX A")
    page.get_by_role("link", name="Leave the order").click()
    assert names(page) == ["PBX A", "PBX B", "PBX C"]

    drag("PBX B", onto="PBX A")
    dialog = page.get_by_role("dialog", name="Make PBX B the primary of ward?")
    expect(dialog).to_contain_text("The one line of this group that registers")
    assert kept(group) == ["PBX A", "PBX B", "PBX C"], "nothing is saved before the answer"
    dialog.get_by_role("button", name="Make it the primary").click()
    expect(page.get_by_text("The order is PBX B, PBX A and PBX C.")).to_be_visible()
    assert kept(group) == ["PBX B", "PBX A", "PBX C"]


def test_a_handset_is_edited_and_deleted(page: Page, group: ServerGroup) -> None:
    handset = Handset.objects.get()
    page.goto(page.url.replace(f"/groups/{group.pk}/", f"/handsets/{handset.pk}/"))
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("MAC").fill("no mac")
    page.get_by_label("Tags").fill("icu, night")
    page.get_by_role("button", name="Save").click()
    mac = page.get_by_label("MAC")
    expect(mac).to_have_attribute("aria-invalid", "true")
    expect(mac).to_have_accessible_description(re.compile("twelve hexadecimal digits, not"))
    mac.fill("00:90:7a:00:00:ff")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Handset Ward 4 is kept.")).to_be_visible()
    handset.refresh_from_db()
    assert (handset.mac, handset.tags) == ("00907a0000ff", ["icu", "night"])

    page.get_by_role("link", name="Delete this handset").click()
    dialog = page.get_by_role("dialog", name="Delete handset Ward 4?")
    dialog.get_by_role("link", name="Keep it").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("link", name="Delete this handset").click()
    dialog.get_by_role("button", name="Delete handset").click()
    expect(page.get_by_text("Handset Ward 4 is deleted.")).to_be_visible()
    assert not Handset.objects.exists()


def test_a_selection_is_edited_at_once(page: Page, group: ServerGroup) -> None:
    make_registration(group, State.PRIMARY, name="Ward 5")
    clinic = make_group("clinic")
    page.goto(page.url.replace(f"/groups/{group.pk}/", "/handsets/"))
    page.get_by_role("checkbox", name="Select all on this page").check()
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Edit 2 lines")
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog.get_by_text("Choose what to change.")).to_be_visible()
    dialog.get_by_label("Group").select_option(label="clinic")
    dialog.get_by_label("Add tags").fill("moved")
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog.get_by_role("status")).to_contain_text("2 of 2 handsets would change")
    assert Handset.objects.filter(group=group).count() == 2
    dialog.get_by_role("button", name="Change 2 handsets").click()
    expect(page.get_by_text("Changed: 2 handsets.")).to_be_visible()
    assert Handset.objects.filter(group=clinic, tags=["moved"]).count() == 2
