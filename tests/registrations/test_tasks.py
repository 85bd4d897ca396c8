"""Hints: to whom, about what, and that they cost nothing."""

import time
from queue import Empty
from typing import Any

import pytest

from fleet.config.celery import app
from fleet.models import Site
from registrations import store, tasks
from registrations.models import Registration, ServerHealth
from tests.support.claims import at, make_due, make_group, make_lines

pytestmark = pytest.mark.django_db


def waiting_in(queue: str) -> list[list[int]]:
    """The arguments of the hints in that queue; they are taken out."""
    hints = []
    with app.connection_for_read() as broker:
        box = broker.SimpleQueue(queue)
        while True:
            try:
                hint = box.get(block=False)
            except Empty:
                return hints
            hints.append(hint.payload[0])
            hint.ack()


@pytest.fixture(autouse=True)
def empty_queues() -> None:
    for queue in ("rollcall", "site.west"):
        waiting_in(queue)


def test_a_tick_hints_once_at_each_site_with_due_work_and_at_no_other() -> None:
    group = make_group()
    east, west = Site.objects.create(name="east"), Site.objects.create(name="west")
    make_due(make_lines(5, group, east))
    make_due(make_lines(5, group, west, first=10), time.time() + 60)
    tasks.tick()
    assert waiting_in("rollcall") == [[east.pk]]


def test_a_due_probe_is_due_work() -> None:
    rows = make_due(make_lines(1, make_group()), time.time() + 60)
    store.ensure_health()
    tasks.tick()
    assert waiting_in("rollcall") == [[rows[0].site_id]]
    ServerHealth.objects.update(due_at=at(time.time() + 9))
    tasks.tick()
    assert waiting_in("rollcall") == []


def test_a_due_proof_is_due_work_where_proofs_are_wanted(settings: Any) -> None:
    lines = make_lines(1, make_group())
    [row] = make_due(lines, time.time() + 60)
    store.ensure_proofs([lines[0].pk], time.time() - 60)
    tasks.tick()
    assert waiting_in("rollcall") == [[row.site_id]]
    settings.PROVE_EVERY = 0
    tasks.tick()
    assert waiting_in("rollcall") == []


def test_a_site_with_workers_of_its_own_has_its_own_queue() -> None:
    west = Site.objects.create(name="west", has_own_workers=True)
    make_due(make_lines(1, make_group(), west))
    tasks.tick()
    assert waiting_in("rollcall") == []
    assert waiting_in("site.west") == [[west.pk]]


def test_a_worker_that_hears_no_hints_looks_at_the_sites_of_its_queues_alone() -> None:
    group = make_group()
    east = Site.objects.create(name="east")
    west = Site.objects.create(name="west", has_own_workers=True)
    make_due(make_lines(1, group, east))
    make_due(make_lines(1, group, west, first=10))
    assert tasks.due_at({"rollcall"}) == [east.pk]
    assert tasks.due_at({"site.west"}) == [west.pk]


def test_a_hint_expires_soon_because_the_next_tick_comes_in_a_second() -> None:
    assert tasks.tick.expires == tasks.run_due.expires == tasks.HINT_EXPIRES_S == 2


def test_a_recruiting_hint_goes_where_the_sites_workers_listen() -> None:
    west = Site.objects.create(name="west", has_own_workers=True)
    tasks.hint(west.pk)
    assert waiting_in("site.west") == [[west.pk]]
    tasks.hint(west.pk + 1)
    assert waiting_in("site.west") == []


def test_a_hint_outside_a_worker_does_nothing() -> None:
    [row] = make_due(make_lines(1, make_group()))
    tasks.run_due(row.site_id)
    assert Registration.objects.get().lease_token is None
