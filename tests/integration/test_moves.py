"""500 handsets register, lose their primary, and come home: by the clock and by order."""

from datetime import datetime

import pytest

from tests.support.hospital import Hospital, now
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)


def test_all_handsets_are_on_the_primary_with_exactly_one_contact_each(ward: Hospital) -> None:
    bound = ward.primary.locations()
    assert sorted(bound) == ward.extensions
    assert {len(contacts) for contacts in bound.values()} == {1}
    assert ward.secondary.requests() == {}, "the secondary was asked although the primary answered"
    ward.wait_for_state("primary", 30)
    wait_until(
        lambda: ward.product.get("/api/v1/summary/")["headline"] == "All 500 on primary.",
        25,
        "the summary counts all of them on an answering primary",
        seen=lambda: ward.product.get("/api/v1/summary/"),
    )


def test_first_registrations_are_one_transition_each(ward: Hospital) -> None:
    rows = ward.product.every("transitions", cause="first")
    assert sorted(row["extension"] for row in rows) == ward.extensions
    assert {row["to"]["state"] for row in rows} == {"primary"}


def test_a_killed_primary_sends_all_to_the_secondary_and_they_return_after_the_duration(
    ward: Hospital,
) -> None:
    began = now()
    with ward.watch(all_bound=False):
        ward.primary.kill()
        ward.wait_for(ward.secondary, 60)
        ward.wait_for_state("secondary", 30)
    moves = ward.transitions(began, cause="failover")
    assert sorted(row["extension"] for row in moves) == ward.extensions, "one move per handset"
    for row in moves:
        assert row["from"]["state"] == "primary", row
        assert row["to"]["state"] == "secondary", row
        assert row["reason"], row
        assert 0 <= row["seconds"] < 10, row
    oldest = min(row["at"] for row in moves)
    with ward.watch(all_bound=True):
        ward.primary.start()
        ward.wait_for(ward.primary, 110)
        ward.wait_for_state("primary", 30)
    returns = ward.transitions(began, cause="failback")
    assert sorted(row["extension"] for row in returns) == ward.extensions
    by_extension = {row["extension"]: row["at"] for row in moves}
    waits = [_seconds(by_extension[row["extension"]], row["at"]) for row in returns]
    assert min(waits) >= 59, f"home before the duration: {min(waits):.1f} s, first move {oldest}"
    assert max(waits) < 80, f"home late: {max(waits):.1f} s after the move"


def test_a_forced_failback_by_the_api_brings_all_home_and_says_so_for_each(ward: Hospital) -> None:
    with ward.watch(all_bound=False):
        ward.primary.kill()
        ward.wait_for(ward.secondary, 60)
    began = now()
    with ward.watch(all_bound=True):
        ward.primary.start()
        job = ward.product.post("/api/v1/failbacks/", {"group": ward.group_id()})
        assert job["total"] == 500, job
        ward.wait_for(ward.primary, 25)

        def finished() -> bool:
            seen = ward.product.get(f"/api/v1/failbacks/{job['id']}/")
            return bool(seen["done"] == seen["total"])

        wait_until(
            finished,
            30,
            "the job is over",
            seen=lambda: {**ward.product.get(f"/api/v1/failbacks/{job['id']}/"), "results": "…"},
        )
    after = ward.product.get(f"/api/v1/failbacks/{job['id']}/")
    assert after["failed"] == 0, after
    outcomes = {row["result"] for row in after["results"]}
    assert outcomes <= {"moved", "already_there"}, outcomes
    moved = [row for row in after["results"] if row["result"] == "moved"]
    assert len(moved) > 400, "the order came too late to prove anything"
    assert all(row["seconds"] is not None and row["reason"] for row in moved)
    rows = ward.transitions(began, cause="forced_failback")
    assert len(rows) == len(moved)
    assert {row["asked_by"] for row in rows} == {"admin"}


def _seconds(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
