"""What is known of servers: two misses make one silent, two answers bring it back."""

import time

import pytest

from fleet.models import Line, Site
from registrations import store
from registrations.models import Registration, ServerHealth
from registrations.store import Noticed, Probed
from tests.support.claims import make_due, make_group, make_lines

pytestmark = pytest.mark.usefixtures("database")


def a_fleet(n: int = 2, **policy: object) -> ServerHealth:
    make_due(make_lines(n, make_group(**policy)), time.time() + 900)
    store.ensure_health()
    return ServerHealth.objects.get(server__priority=1)


def notice(health: ServerHealth, *answers: bool) -> list[tuple[int, int]]:
    now = time.time()
    return store.hear(
        Noticed(health.server_id, health.site_id, answered, now + i / 100, "200 OK")
        for i, answered in enumerate(answers)
    )


def condition(health: ServerHealth) -> str:
    health.refresh_from_db()
    return health.condition


def test_every_server_of_a_used_group_is_watched_from_every_site_that_uses_it() -> None:
    group = make_group()
    make_group("unused", ("127.0.0.63",))
    for first, name in enumerate(("east", "west")):
        make_due(make_lines(1, group, Site.objects.create(name=name), first=first))
    store.ensure_health()
    store.ensure_health()
    watched = ServerHealth.objects.values_list("server__address", "site__name")
    assert sorted(watched) == [
        ("127.0.0.61", "east"),
        ("127.0.0.61", "west"),
        ("127.0.0.62", "east"),
        ("127.0.0.62", "west"),
    ]


def test_a_server_nobody_uses_any_more_is_not_watched() -> None:
    a_fleet()
    Registration.objects.update(state="disabled", due_at=None)
    store.ensure_health()
    assert not ServerHealth.objects.exists()


def test_one_miss_is_not_silence_and_two_are() -> None:
    health = a_fleet()
    assert notice(health, True) == [(health.server_id, health.site_id)]
    assert notice(health, False) == []
    assert condition(health) == "up"
    assert notice(health, False) == [(health.server_id, health.site_id)]
    assert condition(health) == "silent"


def test_an_answer_between_two_misses_forgives_the_first() -> None:
    health = a_fleet()
    notice(health, True, False, True, False)
    assert condition(health) == "up"


def test_a_silent_server_is_up_after_two_answers_in_a_row() -> None:
    health = a_fleet()
    notice(health, False, False)
    notice(health, True, False, True)
    assert condition(health) == "silent"
    notice(health, True)
    assert condition(health) == "up"


def test_since_is_when_the_condition_changed_not_when_it_was_last_seen() -> None:
    health = a_fleet()
    notice(health, False, False)
    health.refresh_from_db()
    since = health.since
    notice(health, False)
    health.refresh_from_db()
    assert health.since == since


def test_probes_are_claimed_once_and_wait_ten_seconds_or_less_in_doubt() -> None:
    health = a_fleet()
    now = time.time() + 1
    claimed = store.claim_probes(None, 9, 10.0, now=now)
    assert {each.target.address for each in claimed} == {"127.0.0.61", "127.0.0.62"}
    assert store.claim_probes(None, 9, 10.0, now=now + 9) == []
    [ours] = [each for each in claimed if each.health_id == health.pk]
    assert store.save_probes([Probed(ours, True, now, "200 OK")])
    health.refresh_from_db()
    assert health.due_at.timestamp() == pytest.approx(now + 10, abs=0.001)
    again = store.claim_probes([health.site_id], 9, 10.0, now=now + 10.5)
    [ours] = [each for each in again if each.health_id == health.pk]
    store.save_probes([Probed(ours, False, now + 11, "")])
    health.refresh_from_db()
    assert health.due_at.timestamp() == pytest.approx(now + 12.5, abs=0.001)


def test_a_probe_under_a_lost_lease_writes_nothing() -> None:
    health = a_fleet()
    now = time.time() + 1
    claimed = store.claim_probes(None, 9, 10.0, now=now)
    store.claim_probes(None, 9, 10.0, now=now + 11)
    before = list(ServerHealth.objects.order_by("pk").values())
    assert store.save_probes([Probed(each, True, now, "200 OK") for each in claimed]) == []
    assert list(ServerHealth.objects.order_by("pk").values()) == before
    assert condition(health) == "unknown"


def test_silence_wakes_the_handsets_of_a_fast_failover_group_only() -> None:
    health = a_fleet(fast_failover=True, max_registrations_per_second=10)
    slow = make_group("slow", ("127.0.0.61:5071",))
    make_due(make_lines(1, slow), time.time() + 900)
    Registration.objects.filter(group=health.server.group).update(server=health.server)
    notice(health, False, False)
    now = time.time()
    due = {r.group.name: [] for r in Registration.objects.select_related("group")}
    for row in Registration.objects.select_related("group").order_by("pk"):
        due[row.group.name].append(row.due_at.timestamp() - now)
    assert due["ward"] == pytest.approx([0.0, 0.1], abs=0.09)
    assert due["slow"][0] > 800


def test_a_change_concerns_those_on_the_server_or_one_of_its_group() -> None:
    health = a_fleet()
    pair = [(health.server_id, health.site_id)]
    first, second = Registration.objects.order_by("pk")
    assert len(store.concerned(pair)) == 1
    Registration.objects.filter(pk=second.pk).update(server=health.server)
    assert store.concerned(pair) == [second.pk]


def test_lines_switched_off_are_no_reason_to_watch() -> None:
    make_lines(1, make_group(), supervision=Line.Supervision.OFF)
    store.ensure_health()
    assert not ServerHealth.objects.exists()
