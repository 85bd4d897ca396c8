"""The list of handsets in Chromium: filters, views, changes that wait, selection, keyboard."""

import re

import pytest
from playwright.sync_api import Page, expect

from fleet.models import Handset
from registrations.models import Registration, SavedView, State
from tests.registrations import live_fleet
from tests.registrations.live_web import publish

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

ROW = "tr[data-registration-id]"


def look(page: Page, query: str = "") -> None:
    page.goto(f"{page.url.partition('/groups/')[0]}/handsets/?{query}")
    expect(page.locator("body")).to_have_attribute("data-live", "live")


def names(page: Page) -> list[str]:
    return page.locator(f"{ROW} [data-open-row]").all_inner_texts()


def query(page: Page) -> str:
    return page.url.partition("?")[2]


def test_filters_become_chips_in_the_address_and_go_one_by_one(desk: Page) -> None:
    fleet = live_fleet.make(4)
    live_fleet.move(fleet.rows[1], fleet.secondary)
    Handset.objects.filter(pk=fleet.rows[1].line.handset_id).update(tags=["icu"])
    look(desk, "sort=-name")
    desk.locator("summary", has_text="State").click()
    desk.get_by_role("checkbox", name="On secondary").check()
    expect(desk.locator(ROW)).to_have_count(1)
    desk.keyboard.press("Escape")
    desk.locator("summary", has_text="More").click()
    desk.get_by_role("checkbox", name="icu").check()
    desk.locator("#filter-text").fill("nurse")
    expect(desk.locator(".filter-chip")).to_have_count(3)
    expect(desk).to_have_url(re.compile("tag=icu"))
    assert sorted(query(desk).split("&")) == ["q=nurse", "sort=-name", "state=secondary", "tag=icu"]
    expect(desk.get_by_text("1 handset matches")).to_be_attached()
    for left, chip in ((2, "On secondary"), (1, "icu"), (0, "nurse")):
        desk.locator(".filter-chip", has_text=chip).click()
        expect(desk.locator(".filter-chip")).to_have_count(left)
    expect(desk.locator(ROW)).to_have_count(4)
    assert query(desk) == "sort=-name"
    assert names(desk) == [f"Nurse {n}" for n in (4, 3, 2, 1)]


def test_a_view_is_saved_changed_discarded_replaced_and_deleted(desk: Page) -> None:
    fleet = live_fleet.make(3)
    live_fleet.move(fleet.rows[2], fleet.secondary)
    look(desk)
    desk.locator("summary", has_text="State").click()
    desk.get_by_role("checkbox", name="On secondary").check()
    expect(desk.locator(ROW)).to_have_count(1)
    desk.locator("summary", has_text="Save view").click()
    desk.get_by_label("Name", exact=True).fill("Away from home")
    desk.get_by_label("Shared with everybody").check()
    desk.get_by_role("button", name="Save", exact=True).click()
    tab = desk.get_by_role("link", name="Away from home")
    expect(tab).to_have_attribute("aria-current", "page")
    assert query(desk) == "view=away-from-home"

    desk.get_by_role("button", name="Columns").click()
    desk.get_by_role("checkbox", name="Address of record").check()
    desk.get_by_role("button", name="Show these").click()
    expect(desk.get_by_role("columnheader", name="Address of record")).to_be_visible()
    desk.get_by_role("link", name="Discard changes").click()
    expect(desk.get_by_role("columnheader", name="Address of record")).to_be_hidden()

    desk.locator(".filter-chip").click()
    expect(desk.locator(ROW)).to_have_count(3)
    desk.get_by_role("link", name="Since").click()
    desk.get_by_role("button", name="Save changes to Away from home").click()
    expect(tab).to_have_attribute("aria-current", "page")
    assert SavedView.objects.get().query == "sort=since"

    desk.get_by_title("Change this view").click()
    desk.get_by_role("button", name="Delete this view").click()
    expect(desk.get_by_text("no handset was touched")).to_be_visible()
    expect(tab).to_have_count(0)


def test_rows_stay_under_the_cursor_until_the_changes_are_applied(desk: Page) -> None:
    fleet = live_fleet.make(6)
    moved, late = fleet.rows[1], fleet.rows[4]
    live_fleet.move(late, fleet.secondary)
    look(desk, "state=primary")
    before = [f"Nurse {n}" for n in (1, 2, 3, 4, 6)]
    assert names(desk) == before
    desk.locator(f'{ROW}[data-registration-id="{fleet.rows[2].pk}"] input').check()
    live_fleet.move(moved, fleet.secondary)
    late.state, late.server = State.PRIMARY, fleet.primary
    late.save()
    publish(moved, late)
    bar = desk.locator("#changes-bar")
    expect(bar).to_contain_text("2 changes: 1 new here, 1 no longer here")
    row = desk.locator(f'{ROW}[data-registration-id="{moved.pk}"]')
    expect(row).to_contain_text("On secondary")
    assert names(desk) == before, "no row left or came by itself"
    desk.locator(f'{ROW}[data-registration-id="{fleet.rows[2].pk}"] a').focus()
    desk.keyboard.press("a")
    expect(row).to_have_count(0)
    assert names(desk) == [f"Nurse {n}" for n in (1, 3, 4, 5, 6)]
    expect(bar).to_be_hidden()
    expect(desk.locator("[data-selected-count]")).to_have_text("1")
    assert desk.evaluate("document.activeElement.innerText") == "Nurse 3"

    moved.refresh_from_db()
    moved.state, moved.server = State.PRIMARY, fleet.primary
    moved.save()
    publish(moved)
    expect(bar).to_contain_text("1 change: 1 new here")
    desk.get_by_role("button", name="Apply").click()
    expect(desk.locator(f"{ROW} [data-open-row]")).to_have_text([f"Nurse {n}" for n in range(1, 7)])


def test_no_more_rows_are_counted_than_match(desk: Page) -> None:
    fleet = live_fleet.make(1)
    look(desk, "state=primary")
    pager = desk.locator(".pager > .num")
    expect(pager).to_have_text("1–1 of 1")
    live_fleet.move(fleet.rows[0], fleet.secondary)
    publish(fleet.rows[0])
    expect(desk.locator("[data-match-count]")).to_have_text("0")
    expect(pager.get_by_text("1–1 of")).to_be_hidden()


def test_an_order_that_runs_on_says_how_many_stand_elsewhere(desk: Page) -> None:
    fleet = live_fleet.make(5)
    look(desk, "sort=-since&state=primary")
    assert names(desk) == [f"Nurse {n}" for n in (5, 4, 3, 2, 1)]
    again = fleet.rows[0]
    live_fleet.move(again, fleet.primary)
    again.state = State.PRIMARY
    again.save()
    publish(again)
    bar = desk.locator("#changes-bar")
    expect(bar).to_contain_text("1 change: 1 in another place")
    assert names(desk)[0] == "Nurse 5"
    desk.get_by_role("button", name="Apply").click()
    expect(desk.locator(f"{ROW} [data-open-row]").first).to_have_text("Nurse 1")


def test_all_that_match_is_the_filter_and_these_are_those(desk: Page) -> None:
    fleet = live_fleet.make(53)
    Registration.objects.update(state=State.UNREGISTERED, server=None, expires_at=None)
    look(desk, "state=unregistered")
    desk.get_by_label("Select all on this page").check()
    expect(desk.locator("[data-selected-count]")).to_have_text("50")
    dialog = desk.get_by_role("dialog")
    desk.get_by_role("button", name="Look again").click()
    expect(dialog).to_contain_text("Let 50 lines look again?")
    dialog.get_by_role("link", name="Leave them").click()

    desk.get_by_role("button", name="Select all 53 that match").click()
    expect(desk.locator("[data-selected-count]")).to_have_text("All 53")
    live_fleet.add(fleet, 99, state=State.UNREGISTERED, server=None)
    desk.get_by_role("button", name="Look again").click()
    expect(dialog).to_contain_text("53 matched when you chose; 54 match now.")
    expect(dialog).to_contain_text("Let 54 lines look again?")
    dialog.get_by_role("button", name="Look again").click()
    expect(desk.get_by_text("54 lines look again now.")).to_be_visible()
    assert Registration.objects.filter(wish="resume").count() == 54


def test_the_list_is_worked_by_keyboard_alone(desk: Page) -> None:
    fleet = live_fleet.make(4)
    look(desk)
    desk.keyboard.press("/")
    desk.keyboard.type("nurse")
    expect(desk.locator(".filter-chip")).to_have_count(1)
    desk.keyboard.press("ArrowDown")
    desk.keyboard.press("ArrowDown")
    assert desk.evaluate("document.activeElement.innerText") == "Nurse 2"
    desk.keyboard.press("x")
    desk.keyboard.press("ArrowUp")
    desk.keyboard.press("x")
    expect(desk.locator("[data-selected-count]")).to_have_text("2")
    desk.keyboard.press("?")
    expect(desk.get_by_role("dialog")).to_contain_text("Apply the changes of the list")
    desk.keyboard.press("Escape")
    desk.locator(f'{ROW}[data-registration-id="{fleet.rows[2].pk}"] [data-open-row]').focus()
    desk.keyboard.press("Enter")
    expect(desk).to_have_url(re.compile(f"/handsets/{fleet.rows[2].line.handset_id}/$"))


def test_on_a_phone_every_row_is_a_card_that_fits(desk: Page) -> None:
    live_fleet.make(3)
    desk.set_viewport_size({"width": 390, "height": 844})
    look(desk, "columns=extension,server,since,next,aor,tags,answer,reason,mac,supervision")
    expect(desk.locator(ROW).first).to_be_visible()
    width = desk.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    desk.locator(ROW).first.get_by_role("checkbox").check()
    expect(desk.get_by_role("button", name="Bring home")).to_be_visible()
