"""Workers that die, sleep or work beside others of their kind, and a beat too many."""

import signal
import time
from typing import Any

import pytest

from tests.support import annals
from tests.support.chaos import EXPIRES_S, HANDSETS, LEASE_S, SETTLED_S, Fault
from tests.support.hospital import Hospital
from tests.support.kamailio import SILENCE
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)

WRITTEN = "state, server_id, since, expires_at, due_at, renewals, last_answer, snapshot"
"""Everything a worker writes of a registration."""


def test_a_worker_is_killed_in_the_midst_of_a_move(icu: Hospital) -> None:
    with Fault(icu, "worker killed in the midst of a failover", on=icu.secondary) as fault:
        catch_in_the_move(icu)
        for worker in icu.product.running_workers():
            worker.kill()
        assert icu.leased(), "nothing was in the worker's hands, so its death proves nothing"
        fault.is_said("worker")
        icu.product.start_worker()
        # Those it held come back with the end of their lease.
        fault.mended()
    icu.primary.set_fault(None)


def test_a_worker_stopped_past_its_lease_and_continued_writes_nothing(icu: Hospital) -> None:
    (sleeper,) = icu.product.running_workers()
    with Fault(icu, "worker stopped past its lease, then continued") as fault:
        held = catch_in_the_move(icu)
        sleeper.signal_group(signal.SIGSTOP)
        stopped_at = time.monotonic()
        fault.is_said("worker")
        icu.product.start_worker()
        icu.wait_for(icu.secondary, LEASE_S + SETTLED_S)
        over = max(0.0, stopped_at + LEASE_S + 2 - time.monotonic())
        wait_until(lambda: time.monotonic() > stopped_at + LEASE_S + 2, over + 5, "its lease ends")
        sleeper_wakes_and_does_nothing(icu, held, lambda: sleeper.signal_group(signal.SIGCONT))
        icu.primary.set_fault(None)
        fault.mended()
    assert sleeper.exit_code is None


def sleeper_wakes_and_does_nothing(icu: Hospital, held: set[int], wake: Any) -> None:
    # Its successor renews each handset all the while: wait for a moment when many of those that
    # were in the sleeper's hands are not due for the next seconds.
    before = wait_until(
        lambda: r if len(r := at_rest(icu, held)) >= max(1, len(held) // 3) else None,
        60,
        "a third of those it held are at rest",
        every=0.05,
    )
    history, sent = transitions(icu, set(before)), requests(icu, before)
    wake()
    wakes_until = time.monotonic() + 4
    while time.monotonic() < wakes_until:
        assert {i: r for i, r in rows(icu, set(before)).items() if r != before[i]} == {}
        time.sleep(0.25)
    assert transitions(icu, set(before)) == history
    assert requests(icu, before) == sent, "the sleeper woke up and registered somebody"


def test_no_worker_is_left(icu: Hospital) -> None:
    with Fault(icu, "all workers down for longer than a binding lasts") as fault:
        for worker in icu.product.running_workers():
            worker.kill()
        wait_until(lambda: icu.states()["unknown"] == HANDSETS, EXPIRES_S + 30, "all are unknown")
        fault.is_said("worker")
        icu.product.start_worker()
        icu.product.start_worker()
        fault.mended()


def test_a_second_beat_doubles_nothing(icu: Hospital) -> None:
    with Fault(icu, "two beats, and a failover under them", on=icu.secondary):
        second = icu.product.start_beat("second-beat")
        icu.all_renew(EXPIRES_S + 30)
        icu.primary.set_fault(503)
    icu.primary.set_fault(None)
    second.stop()


def test_the_judge_sees_what_is_missing_and_what_is_there_twice(icu: Hospital) -> None:
    assert annals.examine(icu, []) == annals.Findings()
    columns = (
        "registration_id, at, mac, extension, handset_name, group_name, site_name, from_state, "
        "from_server, to_state, to_server, cause, code, reason, detect_seconds, seconds, asked_by"
    )
    into = f"INSERT INTO registrations_transition ({columns})"
    last = "id = (SELECT max(id) FROM registrations_transition)"
    icu.sql(f"{into} SELECT {columns} FROM registrations_transition WHERE {last} RETURNING id")
    assert annals.examine(icu, []).doubled
    icu.sql(f"DELETE FROM registrations_transition WHERE {last} RETURNING id")
    (gone,) = icu.sql(f"DELETE FROM registrations_transition WHERE {last} RETURNING {columns}")
    assert annals.examine(icu, []).lost
    icu.sql(f"{into} VALUES ({', '.join(['%s'] * len(gone))}) RETURNING id", *gone)
    assert annals.examine(icu, []) == annals.Findings()


def catch_in_the_move(icu: Hospital) -> set[int]:
    """Let the primary fall silent, and return when handsets are on their way in a worker's hands.

    Silence, not a closed port: each handset then is on its way for a second and a half.
    """
    icu.primary.set_fault(SILENCE)
    enough = min(10, HANDSETS // 12)
    wait_until(lambda: len(icu.leased()) >= enough, 60, f"{enough} are in its hands", every=0.02)
    return icu.leased()


def rows(icu: Hospital, ids: set[int], where: str = "true") -> dict[int, tuple[Any, ...]]:
    """What stands in these registrations, of those that fit `where`."""
    found = icu.sql(
        f"SELECT id, {WRITTEN} FROM registrations_registration WHERE id = ANY(%s) AND {where}",
        sorted(ids),
    )
    return {row[0]: row[1:] for row in found}


def at_rest(icu: Hospital, ids: set[int]) -> dict[int, tuple[Any, ...]]:
    return rows(icu, ids, "lease_token IS NULL AND due_at > now() + interval '6 seconds'")


def transitions(icu: Hospital, ids: set[int]) -> list[tuple[Any, ...]]:
    return icu.sql(
        "SELECT registration_id, at, to_state FROM registrations_transition "
        "WHERE registration_id = ANY(%s) ORDER BY id",
        sorted(ids),
    )


def requests(icu: Hospital, ids: Any) -> dict[str, tuple[int, int]]:
    """How many REGISTERs of each of these have come to the two registrars."""
    first, second = icu.primary.requests(), icu.secondary.requests()
    wanted = {row["extension"] for row in icu.product.registrations() if row["id"] in ids}
    return {e: (first.get(e, 0), second.get(e, 0)) for e in wanted}
