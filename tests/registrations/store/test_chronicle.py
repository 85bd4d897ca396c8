"""A server's history: every change is a row, written with the change itself, gaps included."""

import time
from datetime import UTC, datetime

import pytest

from fleet.models import Server, Site
from registrations import store
from registrations.models import Registration, ServerChange, ServerHealth
from registrations.store import Noticed
from tests.support.claims import make_due, make_group, make_lines

PLACE = ("127.0.0.61", 5071)
pytestmark = pytest.mark.usefixtures("database")


def a_server() -> ServerHealth:
    make_due(make_lines(1, make_group()), time.time() + 900)
    store.ensure_health()
    return ServerHealth.objects.get(server__priority=1)


def hear(health: ServerHealth, answered: bool, at: float, answer: str = "") -> None:
    store.hear(
        [
            Noticed(
                *(health.server_id, health.site_id, answered, at, answer),
                code=200 if answered else None,
                registration_id=Registration.objects.get().pk,
                verdict="bound" if answered else "silent",
                before="bound",
            )
        ]
    )


def told() -> list[tuple[str, str]]:
    return list(ServerChange.objects.order_by("at", "pk").values_list("before", "what"))


def stamps() -> list[float]:
    return [at.timestamp() for at in ServerChange.objects.order_by("at").values_list("at", flat=1)]


def test_silence_and_return_are_one_row_each_and_answers_between_are_none() -> None:
    health, now = a_server(), time.time()
    for n in range(3):
        hear(health, True, now + n, "200 OK")
    for n in range(3, 6):
        hear(health, False, now + n, "No answer")
    for n in range(6, 10):
        hear(health, True, now + n, "200 OK")
    assert told() == [("unknown", "up"), ("up", "silent"), ("silent", "up")]
    silent = ServerChange.objects.get(what="silent")
    assert (silent.server_id, silent.site_id) == (health.server_id, health.site_id)
    assert (silent.server_name, silent.group_name, silent.site_name) == (
        str(health.server),
        "ward",
        "main",
    )
    assert silent.at.timestamp() == pytest.approx(now + 4, abs=0.01)
    assert silent.reason == "No answer"


def test_a_time_in_which_nobody_asked_is_a_gap_from_when_it_was_due() -> None:
    health, now = a_server(), time.time()
    hear(health, True, now)
    hear(health, True, now + 3600)
    assert told() == [("unknown", "up"), ("up", "unknown"), ("unknown", "up")]
    assert stamps() == pytest.approx([now, now + 10, now + 3600], abs=0.01)


def test_a_server_that_asked_to_be_left_alone_is_rightly_not_asked() -> None:
    health, now = a_server(), time.time()
    hear(health, True, now)
    store.pause(health.server_id, PLACE, now + 3000, now)
    hear(health, True, now + 3005)
    assert told() == [("unknown", "up"), ("well", "paused")]


def test_a_pause_is_told_for_every_group_that_names_the_place_and_once() -> None:
    health, now = a_server(), time.time()
    make_group("icu")
    for late in (0.0, 1.0, 2.0):
        store.pause(health.server_id, PLACE, now + 60 + late, now + late)
    paused = ServerChange.objects.filter(what="paused").order_by("group_name")
    assert [p.group_name for p in paused] == ["icu", "ward"]
    assert {p.until for p in paused} == {datetime.fromtimestamp(now + 60, UTC)}
    store.pause(health.server_id, PLACE, now + 120, now + 3)
    assert ServerChange.objects.filter(what="paused", before="paused").count() == 2


def test_a_server_nobody_uses_any_more_is_known_no_longer() -> None:
    health, now = a_server(), time.time()
    hear(health, True, now)
    Registration.objects.update(state="disabled", due_at=None)
    store.ensure_health()
    assert told()[-1] == ("up", "unknown")
    assert not ServerHealth.objects.exists()


def test_the_history_outlives_server_and_site() -> None:
    health = a_server()
    name = str(health.server)
    hear(health, True, time.time())
    Registration.objects.all().delete()
    Server.objects.all().delete()
    change = ServerChange.objects.get(what="up")
    assert (change.server, change.server_name) == (None, name)
    assert Site.objects.exists()
