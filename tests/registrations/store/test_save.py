"""Saving: fenced, with history and failback results, and robust against peers' words."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from registrations import store
from registrations.models import Job, JobResult, Registration, RenewalHour, Transition
from tests.support.claims import (
    WishResult,
    finished,
    make_due,
    make_group,
    make_lines,
    moved,
)

pytestmark = pytest.mark.usefixtures("database")

LEASE = 30.0


def claim_one(**fields: object) -> store.Claimed:
    [row] = make_due(make_lines(1, make_group()))
    Registration.objects.filter(pk=row.pk).update(**fields)
    [claimed] = store.claim_due(None, 9, LEASE)
    return claimed


def test_a_result_is_written_and_its_lease_given_back() -> None:
    claimed = claim_one()
    done = finished(claimed, renewed=(claimed.server_id,), attempt=2)
    [saved] = store.save([done])
    assert saved == store.Saved(claimed.registration_id, has_new_wish=False)
    row = Registration.objects.get()
    assert (row.state, row.server_id, row.last_code) == ("primary", claimed.server_id, 200)
    assert (row.lease_token, row.cseq_reserve) == (None, 0)
    assert (row.renewals, row.attempt) == (1, 2)
    assert row.snapshot == {"aor": "sip:4000@fleet.test"}
    assert abs(row.due_at.timestamp() - done.result.due_at) < 0.001
    assert row.next_attempt_at == row.due_at
    assert abs(row.expires_at.timestamp() - done.result.expires_at) < 0.001


def test_a_result_under_a_lost_lease_writes_nothing_at_all() -> None:
    claimed = claim_one()
    later = time.time() + LEASE + 1
    [successor] = store.claim_due(None, 9, LEASE, now=later)
    before = Registration.objects.values().get()
    done = finished(claimed, transitions=(moved(claimed.server_id),))
    assert store.save([done]) == []
    assert Registration.objects.values().get() == before
    assert not Transition.objects.exists()
    assert store.save([finished(successor)])


def test_changes_of_one_moment_stand_in_the_history_in_the_order_in_which_they_came() -> None:
    make_due(make_lines(60, make_group()))
    claimed = store.claim_due(None, 99, LEASE)
    lost = replace(moved(None, "gap"), from_state="primary", to_state="unknown")
    turn = replace(lost, from_state="unknown", to_state="registering")
    back = replace(lost, from_state="registering", to_state="primary")
    store.save([finished(each, transitions=(lost, turn, back)) for each in claimed])
    for each in claimed:
        rows = Transition.objects.filter(registration=each.registration_id).order_by("id")
        states = list(rows.values_list("to_state", flat=True))
        assert states == ["unknown", "registering", "primary"]


def test_of_a_mixed_batch_only_what_is_still_ours_is_written() -> None:
    make_due(make_lines(3, make_group()))
    claimed = store.claim_due(None, 9, LEASE)
    Registration.objects.filter(pk=claimed[1].registration_id).update(lease_token=None)
    saved = store.save([finished(c, transitions=(moved(c.server_id),)) for c in claimed])
    assert {s.registration_id for s in saved} == {
        claimed[0].registration_id,
        claimed[2].registration_id,
    }
    assert Transition.objects.count() == 2


def test_a_change_is_one_row_of_history_with_the_names_of_the_moment() -> None:
    claimed = claim_one(wish="failback", wish_by="ann")
    change = moved(claimed.server_id, "forced_failback")
    store.save([finished(claimed, transitions=(change,))])
    row = Transition.objects.get()
    handset = Registration.objects.get().line.handset
    assert (row.mac, row.extension, row.handset_name) == (handset.mac, "4000", "Ward 0")
    assert (row.group_name, row.site_name) == ("ward", "main")
    assert (row.from_server, row.to_server) == ("", "127.0.0.61:5071")
    assert (row.cause, row.code, row.seconds, row.asked_by) == (
        "forced_failback",
        200,
        0.25,
        "ann",
    )
    assert abs(row.at.timestamp() - change.at) < 0.001


def test_a_wish_made_meanwhile_is_kept_and_makes_the_row_due_at_once() -> None:
    claimed = claim_one()
    wish = {"wish": "failback", "wish_by": "ann", "wish_request": "0123456789"}
    Registration.objects.update(**wish, wish_version=1)
    [saved] = store.save([finished(claimed)])
    assert saved.has_new_wish
    row = Registration.objects.get()
    assert (row.wish, row.wish_by, row.wish_request) == tuple(wish.values())
    assert row.due_at <= timezone.now() + timedelta(seconds=0.1)


def test_an_answered_wish_is_over_and_its_failback_knows() -> None:
    claimed = claim_one(wish="failback", wish_by="ann", wish_request="01234567", wish_version=4)
    job = Job.objects.create(scope={"all": True}, asked_by="ann")
    JobResult.objects.create(
        job=job, registration_id=claimed.registration_id, mac="00907a000000", extension="4000"
    )
    answer = WishResult("moved", "The primary took it.", 0.5)
    store.save([finished(claimed, wish_result=answer)])
    result = JobResult.objects.get()
    assert (result.result, result.reason, result.seconds) == ("moved", answer.reason, 0.5)
    assert result.finished_at is not None
    row = Registration.objects.get()
    assert (row.wish, row.wish_by, row.wish_request) == ("", "", "")


def test_a_wish_not_yet_answered_stays() -> None:
    claimed = claim_one(wish="failback", wish_by="ann")
    store.save([finished(claimed)])
    assert Registration.objects.get().wish == "failback"


def test_the_wish_of_an_edit_is_over_once_an_agent_has_run() -> None:
    claimed = claim_one(wish="resume")
    store.save([finished(claimed)])
    assert Registration.objects.get().wish == ""


def test_a_claim_that_asked_nobody_keeps_the_last_answer() -> None:
    store.save([finished(claim_one(), due_at=time.time() - 1)])
    [again] = store.claim_due(None, 9, LEASE)
    store.save([finished(again, code=None, answer="", heard_at=None)])
    row = Registration.objects.get()
    assert (row.last_code, row.last_answer) == (200, "200 OK")
    assert row.heard_at is not None


def test_silence_replaces_the_last_answer_but_not_when_the_server_was_heard() -> None:
    store.save([finished(claim_one(), due_at=time.time() - 1)])
    [again] = store.claim_due(None, 9, LEASE)
    store.save([finished(again, code=None, answer="No answer within 7.5 s.", heard_at=None)])
    row = Registration.objects.get()
    assert (row.last_code, row.last_answer) == (None, "No answer within 7.5 s.")
    assert row.heard_at is not None


@pytest.mark.parametrize("words", ["nul \x00 in it", "half \ud83d a pair", "x" * 1000])
def test_whatever_a_peer_says_can_be_saved(words: str) -> None:
    claimed = claim_one()
    snapshot = {"servers": {"1": {"realm": words, "back\\u0000slash": "\\u0000"}}}
    store.save([finished(claimed, answer=words, reason=words, snapshot=snapshot)])
    row = Registration.objects.get()
    assert 0 < len(row.last_answer) <= 300
    assert "\\u0000" in row.snapshot["servers"]["1"].values()


def test_a_server_deleted_meanwhile_does_not_stop_the_batch() -> None:
    group = make_group()
    make_due(make_lines(2, group))
    claimed = store.claim_due(None, 9, LEASE)
    group.servers.get(priority=1).delete()
    saved = store.save([finished(c, transitions=(moved(c.server_id),)) for c in claimed])
    assert len(saved) == 2
    assert set(Registration.objects.values_list("server", flat=True)) == {None}
    assert Transition.objects.count() == 2


def test_renewals_are_counted_by_group_server_and_hour_and_not_kept() -> None:
    make_due(make_lines(3, make_group()))
    claimed = store.claim_due(None, 9, LEASE)
    server_id = claimed[0].server_id
    store.save([finished(each, renewed=(server_id,)) for each in claimed[:2]])
    store.save([finished(claimed[2], renewed=(server_id, server_id))])
    hours = RenewalHour.objects.all()
    assert sum(each.renewals for each in hours) == 4
    # The hour may turn between the two saves.
    assert len(hours) <= 2
    for each in hours:
        assert (each.hour.minute, each.hour.second) == (0, 0)
        assert (each.group_name, each.server) == ("ward", "127.0.0.61:5071")
    assert not Transition.objects.exists()


def test_what_is_due_at_once_is_due_now_and_not_in_the_past() -> None:
    """An entry that was kept away and may register after all says no time of its own."""
    claimed = claim_one()
    now = time.time()
    store.save([replace(finished(claimed, due_at=0.0), at=now)])
    row = Registration.objects.get()
    assert row.due_at is not None and row.next_attempt_at is not None
    assert row.due_at.timestamp() == pytest.approx(now, abs=0.01)
    assert row.next_attempt_at == row.due_at
