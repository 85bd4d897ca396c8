"""Slots and spreading."""

import threading
import time

import pytest
from django.db import connection

from registrations import store
from registrations.models import Registration
from tests.support.claims import make_due, make_group, make_lines

PLACE = ("127.0.0.61", 5071)
pytestmark = pytest.mark.usefixtures("database")


def a_server() -> int:
    return make_group().servers.get(priority=1).pk


def test_slots_follow_one_another_without_gap_or_overlap() -> None:
    server = a_server()
    assert store.reserve_slots(server, 10, 100, 1000.0) == pytest.approx(1000.0)
    assert store.reserve_slots(server, 5, 100, 1000.0) == pytest.approx(1000.1)
    assert store.reserve(server, PLACE, 0, 100, 0.0, 1000.0).first == pytest.approx(1000.15)


def test_time_that_passed_unused_is_not_made_up_for() -> None:
    server = a_server()
    store.reserve_slots(server, 1, 100, 1000.0)
    assert store.reserve_slots(server, 1, 100, 1060.0) == pytest.approx(1060.0)


def test_processes_that_reserve_at_once_get_different_slots(database: str) -> None:
    server = a_server()
    got: list[float] = []

    def reserve() -> None:
        try:
            for _ in range(20):
                got.append(store.reserve_slots(server, 1, 10, 1000.0))
        finally:
            connection.close()

    threads = [threading.Thread(target=reserve) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(got) == pytest.approx([1000.0 + i / 10 for i in range(60)])


def due_times() -> list[float | None]:
    rows = Registration.objects.order_by("pk").values_list("due_at", flat=True)
    return [due.timestamp() if due else None for due in rows]


def test_a_spread_makes_rows_due_at_the_given_pace() -> None:
    now = time.time()
    rows = make_due(make_lines(3, make_group()), now + 900)
    store.spread([row.pk for row in rows], 10, now)
    assert due_times() == pytest.approx([now, now + 0.1, now + 0.2], abs=0.001)


def test_a_spread_without_cap_makes_all_due_at_once() -> None:
    now = time.time()
    rows = make_due(make_lines(3, make_group()), now + 900)
    store.spread([row.pk for row in rows], 0, now)
    assert due_times() == pytest.approx([now] * 3, abs=0.001)


def test_a_spread_leaves_a_leased_row_to_its_agent_which_finds_the_wish() -> None:
    now = time.time()
    rows = make_due(make_lines(2, make_group()))
    [claimed] = store.claim_due(None, 1, 30.0, now=now)
    store.spread([row.pk for row in rows], 1, now)
    row = Registration.objects.get(pk=claimed.registration_id)
    assert row.due_at.timestamp() == pytest.approx(now + 30, abs=0.001)
    assert row.wish_version == 1


def test_a_spread_neither_delays_a_row_nor_wakes_one_that_is_off() -> None:
    now = time.time()
    rows = make_due(make_lines(2, make_group()), now - 5)
    Registration.objects.filter(pk=rows[1].pk).update(state="disabled", due_at=None)
    store.spread([row.pk for row in rows], 1, now)
    assert due_times() == pytest.approx([now - 5, None], abs=0.001)


def test_a_pause_holds_for_every_group_that_names_the_place_and_an_hour_at_most() -> None:
    server = a_server()
    twin = make_group("twin").servers.get(priority=1).pk
    neighbour = make_group("other", ("127.0.0.68",)).servers.get(priority=1).pk
    store.pause(server, PLACE, 1120.0, 1000.0)
    for each in (server, twin):
        slots = store.reserve(each, PLACE, 5, 10, 1060.0, 1000.0)
        assert (slots.is_ours, slots.paused_until) == (False, 1120.0)
    assert store.reserve(neighbour, ("127.0.0.68", 5071), 5, 10, 1060.0, 1000.0).is_ours
    store.pause(server, PLACE, 1010.0, 1000.0)
    assert store.reserve(server, PLACE, 5, 10, 1060.0, 1119.0).paused_until == 1120.0
    assert store.reserve(server, PLACE, 5, 10, 1180.0, 1121.0).is_ours
    store.pause(server, PLACE, 99_999.0, 2000.0)
    assert store.reserve(server, PLACE, 5, 10, 9e9, 2000.0).paused_until == 5600.0


def test_who_leaves_a_silent_server_comes_at_its_pace_but_the_first_second_at_once() -> None:
    now = time.time()
    group = make_group(fast_failover=True)
    rows = make_due(make_lines(5, group), now + 900)
    server = group.servers.get(priority=1)
    Registration.objects.update(server=server, state="primary")
    store.spread_from(server.pk, rows[0].site_id, 2, now)
    assert due_times() == pytest.approx([now, now, now, now + 0.5, now + 1.0], abs=0.001)
