"""The machine's clock is set: every row is looked at again, at its servers' pace."""

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from registrations import queries, store
from registrations.models import (
    Registration,
    ServerHealth,
    ServerPace,
    ServerPause,
    StandbyProof,
)
from tests.support.claims import at, finished, make_due, make_group, make_lines

pytestmark = pytest.mark.usefixtures("database")

HOUR = 3600.0
CAP = 10


def bound_fleet(n: int) -> list[Registration]:
    """Lines on their primary, bound by a clock that is right; the last ends first."""
    make_due(make_lines(n, make_group(max_registrations_per_second=CAP)))
    now = time.time()
    claimed = store.claim_due(None, n, 30)
    store.save([finished(c, expires_at=now + 100 - place) for place, c in enumerate(claimed)])
    heard = at(now - 60)
    Registration.objects.update(heard_at=heard)
    return list(Registration.objects.order_by("-expires_at"))


def due(row: Registration, now: float) -> float:
    row.refresh_from_db()
    assert row.due_at is not None
    return row.due_at.timestamp() - now


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_all_become_due_at_the_cap_whose_binding_ends_first_going_first(step: float) -> None:
    fleet = bound_fleet(3 * CAP)
    now = time.time() + step
    store.clock_was_set(step, now)
    turns = [due(row, now) for row in reversed(fleet)]
    assert turns == pytest.approx([place / CAP for place in range(3 * CAP)], abs=0.01)
    shown = queries.registrations(datetime.fromtimestamp(now + 1, UTC))
    assert {row.shown_state for row in shown} == {"primary"}, "nobody lapsed by a clock alone"


def test_the_claim_says_by_how_much_and_a_saved_result_ends_it() -> None:
    bound_fleet(2)
    store.clock_was_set(-HOUR, now := time.time() - HOUR)
    claimed = store.claim_due(None, 2, 30, now=now + 1)
    assert [each.news.clock_set for each in claimed] == [-HOUR, -HOUR]
    store.save([finished(claimed[0])])
    store.release({claimed[1].token: [claimed[1].registration_id]}, now)
    told = Registration.objects.order_by("-clock_set_s").values_list("pk", "clock_set_s")
    assert list(told) == [(claimed[0].registration_id, 0), (claimed[1].registration_id, -HOUR)]


def test_who_is_under_a_lease_is_due_once_it_is_saved_and_told_then() -> None:
    bound_fleet(1)
    Registration.objects.update(due_at=at(time.time() - 1))
    [claimed] = store.claim_due(None, 1, 30)
    now = time.time() - HOUR
    store.clock_was_set(-HOUR, now)
    [saved] = store.save([finished(claimed)])
    assert saved.has_new_wish
    assert Registration.objects.get().clock_set_s == -HOUR


def test_the_second_worker_of_a_machine_leaves_alone_whom_the_first_has_renewed() -> None:
    one, other = bound_fleet(2)
    now = time.time() - HOUR
    store.clock_was_set(-HOUR, now)
    renewed = {"clock_set_s": 0.0, "heard_at": at(now), "due_at": at(now + 50)}
    Registration.objects.filter(pk=one.pk).update(**renewed)
    store.clock_was_set(-HOUR, now + 0.5)
    assert due(one, now) == pytest.approx(50)
    other.refresh_from_db()
    assert other.clock_set_s == -HOUR


def test_set_back_nothing_of_a_server_waits_for_the_old_time_to_come_again() -> None:
    [row] = bound_fleet(1)
    store.ensure_health()
    before = time.time()
    store.reserve_slots(row.server_id or 0, 50, CAP, before)
    store.pause(row.server_id or 0, ("127.0.0.61", 5071), before + 600)
    kept = dict.fromkeys(("since", "heard_at", "noticed_at", "silent_at", "good_since"), at(before))
    ServerHealth.objects.update(**kept)
    now = before - HOUR
    store.clock_was_set(-HOUR, now)
    assert ServerPace.objects.get(server=row.server_id).next_at <= now
    assert ServerPause.objects.get().until == pytest.approx(now + 600, abs=1)
    health = ServerHealth.objects.get(server=row.server_id)
    assert health.due_at <= at(now)
    assert all(abs(getattr(health, each).timestamp() - now) < 1 for each in kept)
    silence = (False, now + 1, "", None, "silent", "", None, None, 1)
    missed = store.Noticed(health.server_id, health.site_id, *silence)
    store.hear([missed, missed])
    health.refresh_from_db()
    assert health.condition == "silent", "what it answered by the old time hides no miss"


def test_who_is_only_observed_is_not_looked_at_an_hour_late() -> None:
    [row] = bound_fleet(1)
    store.ensure_proofs([row.line_id], time.time())
    before = datetime.now(UTC)
    soon = before + timedelta(seconds=60)
    StandbyProof.objects.update(due_at=soon, lease_token=uuid.uuid4())
    Registration.objects.update(due_at=None, next_attempt_at=soon)
    store.clock_was_set(-HOUR, before.timestamp() - HOUR)
    row.refresh_from_db()
    assert row.next_attempt_at == soon - timedelta(seconds=HOUR)
    asked = set(StandbyProof.objects.values_list("due_at", "lease_token"))
    assert asked == {(soon - timedelta(seconds=HOUR), None)}


def test_who_is_off_stays_off() -> None:
    [row] = bound_fleet(1)
    Registration.objects.update(state="disabled", due_at=None)
    store.clock_was_set(HOUR, time.time() + HOUR)
    row.refresh_from_db()
    assert (row.due_at, row.clock_set_s) == (None, 0.0)
    assert timedelta(0) < (row.expires_at or datetime.now(UTC)) - datetime.now(UTC)
