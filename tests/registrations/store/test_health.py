"""What is known of servers: two misses make one silent, good answers in a row bring it back."""

import time
import uuid

import pytest

from fleet.models import Line, Site
from registrations import store
from registrations.models import Registration, ServerHealth
from registrations.store import Noticed, Probed
from registrations.store.news import news_at
from tests.support.claims import at, make_due, make_group, make_lines

pytestmark = pytest.mark.usefixtures("database")


def a_fleet(n: int = 2, **policy: object) -> ServerHealth:
    make_due(make_lines(n, make_group(**policy)), time.time() + 900)
    store.ensure_health()
    return ServerHealth.objects.get(server__priority=1)


def notice(
    health: ServerHealth, *answers: bool, after: float = 0.0, **said: object
) -> list[tuple[int, int]]:
    """REGISTERs of one handset that were answered, or not, a hundredth of a second apart."""
    now = time.time() + after
    said = {"code": 200, "verdict": "bound", "registration_id": 1} | said
    missed = {"code": None, "verdict": "silent", "registration_id": said["registration_id"]}
    missed |= {"asked_at": said.pop("asked_at", None)}
    return store.hear(
        Noticed(
            *(health.server_id, health.site_id, answered, now + i / 100, "200 OK"),
            **(said if answered else missed),  # type: ignore[arg-type]
        )
        for i, answered in enumerate(answers)
    )


def silent_at(health: ServerHealth) -> float:
    return news_at([health.site_id], time.time())[health.site_id].silent[health.server_id]


OPTIONS = {"registration_id": None, "verdict": ""}


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


def test_a_silent_server_is_up_after_three_good_answers_in_a_row() -> None:
    health = a_fleet()
    notice(health, False, False)
    notice(health, True, True, False, True, True)
    assert condition(health) == "silent"
    notice(health, True)
    assert condition(health) == "up"


def test_a_server_that_answers_options_but_serves_no_users_stays_silent() -> None:
    """What makes baresip go back and forth (its issue 1660)."""
    health = a_fleet()
    notice(health, False, False)
    for _ in range(5):
        notice(health, True, True, True, **OPTIONS)
        notice(health, True, code=500, verdict="error")
        notice(health, True, code=403, verdict="refused")
        assert condition(health) == "silent"


def test_good_answers_too_far_apart_do_not_bring_a_server_back() -> None:
    health = a_fleet()
    notice(health, False, False)
    for after in (10, 45, 80, 115):
        notice(health, True, after=after)
        assert condition(health) == "silent"
    notice(health, True, True, after=120)
    assert condition(health) == "up"


def test_an_options_answer_does_not_make_good_for_a_register_nobody_answered() -> None:
    health = a_fleet()
    notice(health, True, False)
    notice(health, True, **OPTIONS)
    notice(health, False)
    assert condition(health) == "silent"


def test_an_options_answer_makes_good_for_an_options_that_was_lost() -> None:
    health = a_fleet()
    notice(health, True, False, True, False, **OPTIONS)
    assert condition(health) == "up"


def test_an_agent_that_missed_an_answer_brings_the_next_probe_forward() -> None:
    health = a_fleet()
    before = time.time()
    ServerHealth.objects.update(due_at=at(before + 9))
    notice(health, False)
    health.refresh_from_db()
    assert before + 1 <= health.due_at.timestamp() <= time.time() + 2


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
    assert store.save_probes([Probed(ours, True, now, "200 OK", 200)])
    health.refresh_from_db()
    assert health.due_at.timestamp() == pytest.approx(now + 10, abs=0.001)
    again = store.claim_probes([health.site_id], 9, 10.0, now=now + 10.5)
    [ours] = [each for each in again if each.health_id == health.pk]
    store.save_probes([Probed(ours, False, now + 11, "")])
    health.refresh_from_db()
    assert health.due_at.timestamp() == pytest.approx(now + 12.5, abs=0.001)


def the_probe(health: ServerHealth) -> store.ClaimedHealth:
    """The probe that is due now, claimed."""
    ServerHealth.objects.update(due_at=at(time.time() - 1), lease_token=None)
    claimed = store.claim_probes(None, 9, 10.0)
    return next(each for each in claimed if each.health_id == health.pk)


def test_a_probe_is_an_options_and_in_doubt_a_fetch_by_a_handset_that_is_bound() -> None:
    health = a_fleet(3, max_registrations_per_second=7)
    bound = Registration.objects.order_by("pk")[1]
    Registration.objects.filter(pk=bound.pk).update(state="secondary")
    assert the_probe(health).account is None
    notice(health, False)
    fetch = the_probe(health)
    assert fetch.registration_id == bound.pk
    assert fetch.account is not None
    assert fetch.account.user == bound.line.extension
    assert fetch.rate == 7


def test_a_silent_server_is_asked_by_fetches_until_it_is_up() -> None:
    health = a_fleet()
    notice(health, False, False)
    for expected in ("silent", "silent", "up"):
        fetch = the_probe(health)
        assert fetch.registration_id is not None
        store.save_probes([Probed(fetch, True, time.time(), "200 OK", 200, "error")])
        assert condition(health) == expected
    assert the_probe(health).registration_id is None


def test_a_server_that_never_answers_options_is_not_silent_while_it_answers_fetches() -> None:
    health = a_fleet()
    for _ in range(5):
        store.save_probes([Probed(the_probe(health), False, time.time(), "")])
        store.save_probes([Probed(the_probe(health), True, time.time(), "200 OK", 200, "bound")])
    assert condition(health) == "up"


def test_a_paused_server_is_not_probed_until_the_pause_is_over() -> None:
    health = a_fleet()
    now = time.time() + 1
    store.pause(health.server_id, ("127.0.0.61", 5071), now + 100, now)
    claimed = store.claim_probes(None, 9, 10.0, now=now)
    assert [each.target.address for each in claimed] == ["127.0.0.62"]
    health.refresh_from_db()
    assert health.due_at.timestamp() == pytest.approx(now + 100, abs=0.001)
    assert health.lease_token is None


def test_a_probe_under_a_lost_lease_writes_nothing() -> None:
    health = a_fleet()
    now = time.time() + 1
    claimed = store.claim_probes(None, 9, 10.0, now=now)
    store.claim_probes(None, 9, 10.0, now=now + 11)
    before = list(ServerHealth.objects.order_by("pk").values())
    assert store.save_probes([Probed(each, True, now, "200 OK") for each in claimed]) == []
    assert list(ServerHealth.objects.order_by("pk").values()) == before
    assert condition(health) == "unknown"


def other(health: ServerHealth) -> ServerHealth:
    return ServerHealth.objects.exclude(pk=health.pk).get(server__group=health.server.group_id)


def dues() -> dict[str, list[float]]:
    """Seconds until each registration is due, by group."""
    now = time.time()
    due: dict[str, list[float]] = {}
    for row in Registration.objects.select_related("group").order_by("expires_at", "pk"):
        assert row.due_at is not None
        due.setdefault(row.group.name, []).append(row.due_at.timestamp() - now)
    return due


def test_silence_wakes_the_handsets_of_a_fast_failover_group_only() -> None:
    health = a_fleet(4, fast_failover=True, max_registrations_per_second=1)
    slow = make_group("slow", ("127.0.0.61:5071",))
    make_due(make_lines(1, slow), time.time() + 900)
    rows = Registration.objects.filter(group=health.server.group)
    for seconds, row in zip((400, 100, 300, 200), rows, strict=True):
        Registration.objects.filter(pk=row.pk).update(
            server=health.server, state="primary", expires_at=at(time.time() + seconds)
        )
    notice(other(health), True, after=1)
    notice(health, False, False)
    due = dues()
    # The first second's worth at once; who ends first goes first.
    first = due["ward"][0]
    assert first < 0.5
    assert [each - first for each in due["ward"]] == pytest.approx([0.0, 0.0, 1.0, 2.0], abs=0.1)
    assert due["slow"][0] > 800


def test_nobody_moves_until_another_server_has_answered_since_the_silence() -> None:
    health = a_fleet(fast_failover=True, max_registrations_per_second=10)
    Registration.objects.update(server=health.server, state="primary")
    notice(other(health), True)
    ServerHealth.objects.update(due_at=at(time.time() + 9))
    notice(health, False, False, after=0.1)
    assert min(dues()["ward"]) > 800
    asked = other(health)
    assert asked.due_at.timestamp() < time.time() + 1, "it is asked at once"
    notice(asked, True, after=0.5, **OPTIONS)
    assert max(dues()["ward"]) < 1
    Registration.objects.update(due_at=at(time.time() + 900))
    notice(health, False, after=1)
    notice(asked, True, after=2)
    assert min(dues()["ward"]) > 800, "told once is enough"


def test_who_came_home_to_a_silent_server_is_woken_when_it_falls_silent_again() -> None:
    health = a_fleet(fast_failover=True)
    Registration.objects.update(server=health.server, state="primary")
    notice(other(health), True, after=1)
    notice(health, False, False)
    first = silent_at(health)
    notice(health, True, after=2)
    Registration.objects.update(due_at=at(time.time() + 900))
    notice(health, False, after=3)
    assert min(dues()["ward"]) > 800, "one miss is not silence"
    assert silent_at(health) == first
    notice(other(health), True, after=4)
    notice(health, False, after=5)
    assert max(dues()["ward"]) < 1
    assert silent_at(health) > first + 4


def test_a_miss_told_late_drives_nobody_from_a_server_that_has_answered_since() -> None:
    """A probe is given up two seconds after it last left: a handset may be home by then."""
    health = a_fleet(fast_failover=True)
    Registration.objects.update(server=health.server, state="primary")
    notice(other(health), True, after=1)
    notice(health, False, False)
    first = silent_at(health)
    home = time.time() + 2
    notice(health, False, after=3, asked_at=home - 0.5)
    assert first < silent_at(health) < home, "that it came home is later news"
    notice(health, True, after=2)
    Registration.objects.update(due_at=at(time.time() + 900))
    for asked in (home - 0.4, home - 0.3):
        notice(health, False, after=4, asked_at=asked)
    assert min(dues()["ward"]) > 800
    assert silent_at(health) < home
    notice(other(health), True, after=5)
    notice(health, False, False, after=6, asked_at=home + 1)
    assert max(dues()["ward"]) < 1
    assert silent_at(health) > home


def test_a_server_that_answered_later_requests_is_not_called_silent_for_earlier_ones() -> None:
    health = a_fleet()
    now = time.time()
    notice(health, True, after=2)
    notice(health, False, False, after=3, asked_at=now + 1)
    assert condition(health) == "up"
    notice(health, False, False, after=3.1, asked_at=now + 2.5)
    assert condition(health) == "silent"


def test_an_answer_to_options_outdates_no_register_that_was_let_pass() -> None:
    health = a_fleet()
    now = time.time()
    notice(health, True)
    notice(health, False, after=2, asked_at=now + 1)
    notice(health, True, after=2.5, **OPTIONS)
    notice(health, False, after=3, asked_at=now + 2)
    assert condition(health) == "silent"


def test_a_fast_move_leaves_whom_a_worker_has_in_hand_to_that_worker() -> None:
    health = a_fleet(fast_failover=True)
    rows = list(Registration.objects.order_by("pk"))
    Registration.objects.update(server=health.server, state="primary")
    Registration.objects.filter(pk=rows[0].pk).update(lease_token=uuid.uuid4())
    notice(other(health), True, after=1)
    notice(health, False, False)
    leased, free = Registration.objects.order_by("pk")
    assert leased.due_at == rows[0].due_at
    assert (leased.wish_version, free.wish_version) == (1, 0)
    assert free.due_at.timestamp() < time.time() + 1


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
