"""Registrars that misbehave, played by sipp, against the whole runtime and a real database.

One handset, two servers: sipp is the first, a peer that takes everybody the second.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registrations.models import Registration, ServerPause, Transition
from registrations.runtime.engine import Name
from registrations.runtime.loop import LoopThread
from tests.support import parts
from tests.support.claims import make_due, make_group, make_lines
from tests.support.databases import database, migrated_postgres
from tests.support.peer import Peer, peer
from tests.support.processes import Child, free_port, wait_for_exit
from tests.support.waiting import wait_until

__all__ = ["database", "migrated_postgres"]

pytestmark = pytest.mark.usefixtures("database")

SCENARIOS = Path(__file__).parents[1] / "support" / "sipp"
SIPP, SECOND = "127.0.0.74", "127.0.0.75"


@contextmanager
def sipp(scenario: str, folder: Path) -> Iterator[tuple[Child, str]]:
    """Play one scenario once; yields the process and where it listens."""
    port = free_port(SIPP)
    command = [
        *(parts.need("sipp"), "-sf", str(SCENARIOS / f"{scenario}.xml")),
        *("-i", SIPP, "-p", str(port), "-m", "1", "-nostdin"),
        *("-timeout", "60s", "-timeout_error", "-trace_err", "-error_file", "errors.log"),
    ]
    playing = Child("sipp", command, folder / "sipp.log", env={"TERM": "xterm"}, cwd=folder)
    try:
        wait_until(lambda: _listens(port), 30, "sipp listens", seen=playing.tail)
        yield playing, f"{SIPP}:{port}"
    finally:
        playing.kill()


def _listens(port: int) -> bool:
    address = "".join(f"{int(byte):02X}" for byte in reversed(SIPP.split(".")))
    return f" {address}:{port:04X} " in Path("/proc/net/udp").read_text()


@contextmanager
def one_handset(first: str, second: Peer, **policy: object) -> Iterator[Registration]:
    """A worker and its one line, due now."""
    policy = {"max_registrations_per_second": 0, "retry_timeout": 100, **policy}
    place = f"{second.address[0]}:{second.address[1]}"
    worker = LoopThread(lambda site_id: None, Name("worker@sipp", ""))
    worker.start()
    try:
        [row] = make_due(make_lines(1, make_group(addresses=(first, place), **policy)))
        worker.kick(row.site_id)
        yield row
    finally:
        worker.stop()


def comes_to(row: Registration, state: str) -> Registration:
    def is_there() -> bool:
        row.refresh_from_db()
        return row.state == state

    wait_until(is_there, 30, f"the line is {state}", seen=lambda: (row.state, row.reason))
    return row


def play(scenario: str, folder: Path, state: str, **policy: object) -> Registration:
    """Play the scenario to its end, which sipp found to be as written; return the saved row."""
    with (
        peer(SECOND) as second,
        sipp(scenario, folder) as (playing, place),
        one_handset(place, second, **policy) as row,
    ):
        comes_to(row, state)
        assert wait_for_exit(playing, 60) == 0, playing.tail(60)
        row.refresh_from_db()
        assert row.state == state
        if state == "primary":
            assert second.registers() == []
    return row


def test_a_503_with_retry_after_moves_the_handset_and_pauses_the_target(tmp_path: Path) -> None:
    before = time.time()
    row = play("busy", tmp_path, "secondary")
    pauses = ServerPause.objects.exclude(server_id=row.server_id).values_list("until")
    wait_until(lambda: max((p for (p,) in pauses.all()), default=0) > before + 100, 30, "a pause")


def test_a_423_is_met_with_the_time_it_names(tmp_path: Path) -> None:
    row = play("brief", tmp_path, "primary", expires=600)
    assert row.expires_at is not None
    assert 1700 < row.expires_at.timestamp() - time.time() <= 1800


def test_a_stale_nonce_costs_one_more_request_and_no_change_of_state(tmp_path: Path) -> None:
    row = play("stale", tmp_path, "primary")
    assert Transition.objects.filter(registration=row).count() == 1


def test_a_silent_server_is_left_after_its_ladder(tmp_path: Path) -> None:
    row = play("silence", tmp_path, "secondary")
    assert "did not answer within 0.4 s" in row.reason


def test_an_answer_that_comes_too_late_changes_nothing(tmp_path: Path) -> None:
    row = play("late", tmp_path, "secondary")
    assert Transition.objects.filter(registration=row).count() == 1


def test_answers_that_come_three_times_count_once(tmp_path: Path) -> None:
    row = play("duplicate", tmp_path, "primary")
    assert Transition.objects.filter(registration=row).count() == 1


def test_answers_that_fit_no_request_are_not_believed(tmp_path: Path) -> None:
    play("wrong_branch", tmp_path, "primary", retry_timeout=2000)
