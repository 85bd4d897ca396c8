"""A worker that was stopped past its lease and wakes up changes nothing any more."""

import signal
import time
from typing import Any

import pytest

from tests.support.hospital import Hospital
from tests.support.kamailio import SILENCE
from tests.support.waiting import wait_until

LEASE = 30.0


def rows(ward: Hospital, ids: set[int]) -> dict[int, tuple[Any, ...]]:
    """Everything a worker writes of these registrations."""
    columns = "id, state, server_id, since, expires_at, due_at, renewals, last_answer, snapshot"
    found = ward.sql(
        f"SELECT {columns} FROM registrations_registration WHERE id = ANY(%s) "
        "AND lease_token IS NULL AND due_at > now() + interval '6 seconds'",
        sorted(ids),
    )
    return {row[0]: row[1:] for row in found}


def transitions(ward: Hospital, ids: set[int]) -> list[tuple[Any, ...]]:
    return ward.sql(
        "SELECT registration_id, at, to_state FROM registrations_transition "
        "WHERE registration_id = ANY(%s) ORDER BY id",
        sorted(ids),
    )


@pytest.mark.timeout(400)
def test_a_worker_stopped_past_its_lease_and_continued_writes_nothing(ward: Hospital) -> None:
    sleeper = ward.product.running_workers()[0]
    with ward.watch(all_bound=False):
        ward.primary.set_fault(SILENCE)
        wait_until(lambda: len(ward.leased()) >= 10, 60, "ten are in its hands", every=0.05)
        sleeper.signal_group(signal.SIGSTOP)
        stopped_at = time.monotonic()
        held = ward.leased()
        assert len(held) >= 5, "too few were in its hands when it stopped"
        ward.product.start_worker()
        ward.wait_for(ward.secondary, 80)
        wait_until(
            lambda: time.monotonic() > stopped_at + LEASE + 2, LEASE + 5, "its lease is over"
        )
        # Its successor renews each handset every half minute: wait for a moment when many of
        # those that were in its hands are not due for the next six seconds.
        before = wait_until(
            lambda: r if len(r := rows(ward, held)) >= len(held) // 2 else None,
            60,
            "half of those it held are at rest",
        )
        at_rest = set(before)
        history = transitions(ward, at_rest)
        extensions = {
            row["extension"] for row in ward.product.registrations() if row["id"] in at_rest
        }
        sent = _requests(ward, extensions)
        sleeper.signal_group(signal.SIGCONT)
        wakes_until = time.monotonic() + 4
        while time.monotonic() < wakes_until:
            assert {i: r for i, r in rows_now(ward, at_rest).items() if r != before[i]} == {}
            time.sleep(0.25)
        assert transitions(ward, at_rest) == history
        assert _requests(ward, extensions) == sent, "the sleeper woke up and registered somebody"
    assert sleeper.exit_code is None
    # It lives, and works on with the others: stopping its successor leaves it the whole fleet.
    successor = ward.product.running_workers()[-1]
    successor.stop()
    ward.primary.set_fault(None)
    ward.go_home()


def rows_now(ward: Hospital, ids: set[int]) -> dict[int, tuple[Any, ...]]:
    """As `rows`, whatever their lease and due time."""
    columns = "id, state, server_id, since, expires_at, due_at, renewals, last_answer, snapshot"
    found = ward.sql(
        f"SELECT {columns} FROM registrations_registration WHERE id = ANY(%s)", sorted(ids)
    )
    return {row[0]: row[1:] for row in found}


def _requests(ward: Hospital, extensions: set[str]) -> dict[str, tuple[int, int]]:
    first, second = ward.primary.requests(), ward.secondary.requests()
    return {e: (first.get(e, 0), second.get(e, 0)) for e in extensions}
