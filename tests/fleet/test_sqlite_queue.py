"""Writers to SQLite wait in line: nobody is locked out and nobody starves."""

import fcntl
import multiprocessing
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from fleet.config.sqlite.base import DatabaseWrapper
from fleet.config.sqlite.queue import Busy, WriteQueue

# These tests open connections of their own; the mark lets them.
pytestmark = pytest.mark.django_db

TURNS = 90

OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
}


def connect(path: Path, **options: Any) -> DatabaseWrapper:
    """A connection of its own, as another process has one."""
    settings = {**connection.settings_dict, "NAME": str(path), "OPTIONS": OPTIONS | options}
    settings |= {"ENGINE": "fleet.config.sqlite", "CONN_MAX_AGE": 0}
    return DatabaseWrapper(settings, alias="other")


def make_table(path: Path) -> None:
    database = connect(path)
    with database.cursor() as cursor:
        cursor.execute("CREATE TABLE note (writer TEXT, number INTEGER)")
    database.close()


def insert(database: DatabaseWrapper, writer: str, number: int) -> None:
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO note VALUES (%s, %s)", [writer, number])


def turns(database: DatabaseWrapper) -> dict[str, int]:
    with database.cursor() as cursor:
        cursor.execute("SELECT writer, count(*) FROM note GROUP BY writer")
        return dict(cursor.fetchall())


def write_without_a_pause(path: Path, name: str, ready: Any) -> None:
    database = connect(path)
    ready.wait()
    number = 0
    while sum(turns(database).values()) < TURNS:
        database.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
        insert(database, name, number)
        time.sleep(0.02)
        database.commit()
        database.set_autocommit(True)
        number += 1
    database.close()


def test_of_several_processes_that_write_without_a_pause_each_gets_its_share(
    tmp_path: Path,
) -> None:
    path = tmp_path / "shared.sqlite3"
    make_table(path)
    spawn = multiprocessing.get_context("fork")
    ready = spawn.Barrier(3)
    children = [
        spawn.Process(target=write_without_a_pause, args=(path, name, ready))
        for name in ("a", "b", "c")
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0, 0]
    database = connect(path)
    had = turns(database)
    database.close()
    assert set(had) == {"a", "b", "c"}
    assert min(had.values()) > max(had.values()) / 3, had


def test_a_writer_that_waits_goes_before_the_one_that_has_just_written(tmp_path: Path) -> None:
    first, second = (WriteQueue(tmp_path / "db", 60) for _ in range(2))
    order: list[str] = []
    first.enter()

    def wait() -> None:
        second.enter()
        order.append("second")
        second.leave()

    waiting = threading.Thread(target=wait)
    waiting.start()
    deadline = time.monotonic() + 30
    probe = WriteQueue(tmp_path / "db", 0)
    while not _turnstile_is_taken(probe):
        assert time.monotonic() < deadline, "the second writer never came to wait"
    first.leave()
    first.enter()
    order.append("first again")
    first.leave()
    waiting.join(60)
    assert order == ["second", "first again"]


def _turnstile_is_taken(probe: WriteQueue) -> bool:
    turnstile, _ = probe._open()
    try:
        fcntl.flock(turnstile, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(turnstile, fcntl.LOCK_UN)
    return False


def test_the_turn_is_held_until_the_outermost_leave(tmp_path: Path) -> None:
    mine, other = WriteQueue(tmp_path / "db", 1), WriteQueue(tmp_path / "db", 0)
    mine.enter()
    mine.enter()
    mine.leave()
    with pytest.raises(Busy):
        other.enter()
    mine.leave()
    other.enter()
    other.close()
    mine.enter()


def test_a_turn_that_does_not_come_in_time_is_a_locked_database(tmp_path: Path) -> None:
    path = tmp_path / "shared.sqlite3"
    make_table(path)
    holder, waiter = connect(path), connect(path, timeout=0.05)
    holder.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    insert(holder, "holder", 1)
    with pytest.raises(OperationalError, match="no turn to write"):
        insert(waiter, "waiter", 1)
    with waiter.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM note")
        assert cursor.fetchone() == (0,), "a reader never waits, and sees nothing uncommitted"
    holder.rollback()
    insert(waiter, "waiter", 2)
    holder.close()
    waiter.close()


@pytest.mark.parametrize("ends", ["commit", "rollback", "close"])
def test_whatever_ends_a_transaction_lets_the_next_writer_in(tmp_path: Path, ends: str) -> None:
    path = tmp_path / "shared.sqlite3"
    make_table(path)
    first, second = connect(path), connect(path, timeout=2)
    first.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    insert(first, "first", 1)
    getattr(first, ends)()
    insert(second, "second", 1)
    first.close()
    second.close()


@pytest.mark.django_db(transaction=True)
def test_the_products_own_connection_waits_in_line_and_leaves_it() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has row locks and needs no line")
    other = WriteQueue(Path(connection.settings_dict["NAME"]), 0)
    with transaction.atomic(), pytest.raises(Busy):
        other.enter()
    other.enter()
    other.close()
