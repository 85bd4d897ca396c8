"""Agents that come to no end: their leases are broken, counted, and others begin them anew."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from registrations import queries, store, watch
from registrations.models import Registration, Transition
from registrations.recovery import FORGETS_FROM, LONGEST_REST_S, longest_claim_s
from registrations.runtime.claimer import LEASE_S
from tests.support.claims import finished, make_due, make_group, make_lines, moved

pytestmark = pytest.mark.usefixtures("database")


def claim_one() -> store.Claimed:
    [claimed] = store.claim_due(None, 1, LEASE_S)
    return claimed


def broken(claimed: store.Claimed, since: float | None = None) -> store.Broken:
    at = time.time() if since is None else since
    return store.Broken(claimed.registration_id, claimed.token, at)


def rest(row: Registration, now: float) -> float:
    row.refresh_from_db()
    assert row.due_at is not None
    return row.due_at.timestamp() - now


def test_it_is_begun_anew_at_once_and_the_agent_before_writes_nothing_any_more() -> None:
    [row] = make_due(make_lines(1, make_group()))
    first, since = claim_one(), time.time() - 50
    assert store.restart([broken(first, since)]) == [row.pk]
    row.refresh_from_db()
    assert row.stuck_since is not None and abs(row.stuck_since.timestamp() - since) < 0.01
    assert (row.restarts, row.lease_token, row.claimed_at) == (1, None, None)
    second = claim_one()
    assert second.token != first.token
    assert second.cseq_offset > first.cseq_offset, "what the first may have sent is covered"
    assert store.save([finished(first)]) == []
    assert [each.registration_id for each in store.save([finished(second)])] == [row.pk]


def test_coming_to_an_end_once_ends_the_count() -> None:
    [row] = make_due(make_lines(1, make_group()))
    store.restart([broken(claim_one())])
    store.save([finished(claim_one())])
    row.refresh_from_db()
    assert (row.stuck_since, row.restarts, row.claimed_at) == (None, 0, None)


def test_a_lease_that_is_another_one_now_is_not_broken() -> None:
    [row] = make_due(make_lines(1, make_group()))
    first = claim_one()
    store.release({first.token: [row.pk]}, time.time() - 1)
    second = claim_one()
    assert store.restart([broken(first)]) == []
    row.refresh_from_db()
    assert row.lease_token is not None and row.lease_token.hex == second.token
    assert row.restarts == 0


def test_each_time_in_a_row_it_rests_for_longer_and_the_first_time_stands() -> None:
    [row] = make_due(make_lines(1, make_group()))
    now = time.time()
    rests = []
    for turn in range(9):
        Registration.objects.update(due_at=datetime.fromtimestamp(now - 1, UTC))
        store.restart([broken(claim_one(), now + turn)], now)
        rests.append(round(rest(row, now)))
    assert rests == [0, 30, 60, 120, 240, 480, 960, 1800, LONGEST_REST_S]
    assert row.stuck_since is not None and abs(row.stuck_since.timestamp() - now) < 0.01
    assert row.restarts == 9


def test_from_the_third_time_on_it_begins_without_what_it_kept_and_history_says_so_once() -> None:
    group = make_group()
    [row] = make_due(make_lines(1, group))
    kept = {"aor": "sip:4000@fleet.test", "courses": {"group": "nonsense"}}
    primary = group.servers.get(priority=1)
    claimed = claim_one()
    store.save([finished(claimed, snapshot=kept, transitions=(moved(primary.pk),))])
    for turn in range(1, FORGETS_FROM + 2):
        Registration.objects.update(due_at=datetime.fromtimestamp(time.time() - 1, UTC))
        store.restart([broken(claim_one())])
        row.refresh_from_db()
        is_kept = "courses" in row.snapshot
        assert is_kept == (turn < FORGETS_FROM)
        assert row.state == ("primary" if is_kept else "registering")
    assert (row.server_id, row.expires_at) == (None, None)
    told = Transition.objects.order_by("id").values_list("from_state", "to_state", "cause")
    assert list(told) == [
        ("registering", "primary", "first"),
        ("primary", "registering", "stuck"),
    ]


def test_the_watch_ends_who_is_under_one_lease_for_longer_than_is_legal() -> None:
    group = make_group()
    one, other = make_due(make_lines(2, group))
    store.claim_due(None, 2, LEASE_S)
    now = datetime.now(UTC)
    longest = timedelta(seconds=longest_claim_s(store.policy_of(group), 2, LEASE_S))
    Registration.objects.filter(pk=one.pk).update(claimed_at=now - longest - timedelta(seconds=2))
    Registration.objects.filter(pk=other.pk).update(claimed_at=now - longest + timedelta(seconds=2))
    assert watch.end_stuck(now) == [one.pk]
    one.refresh_from_db()
    assert one.lease_token is None and one.stuck_since is not None
    assert timedelta(seconds=1) < now - one.stuck_since < timedelta(seconds=3)
    assert watch.end_stuck(now) == []


def test_a_stuck_agent_is_shown_since_when_in_its_row_its_group_and_the_headline() -> None:
    make_due(make_lines(3, make_group()))
    now = datetime.now(UTC)
    store.restart([broken(claim_one(), now.timestamp() - 90)], now.timestamp())
    stuck = queries.registrations(now).exclude(stuck_since=None)
    told = queries.row(stuck.get())
    assert told["state"] == "registering"
    assert told["state_word"].startswith("Registering, stuck since ")
    assert told["stuck_since"] == queries.moment(now - timedelta(seconds=90))
    fleet = queries.summary(now)
    assert (fleet["stuck"], fleet["stuck_since"]) == (1, told["stuck_since"])
    assert [group["stuck"] for group in fleet["groups"]] == [1]
    assert " 1 agent is stuck since " in fleet["headline"]
    assert fleet["headline"].endswith("Rollcall begins them anew.")
    assert queries.matching("stuck=true", now).count() == 1
    assert queries.matching("stuck=false", now).count() == 2
