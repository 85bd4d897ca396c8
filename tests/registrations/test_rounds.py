"""What a tick looks after beside hints: all of it each second, whatever one of them does."""

import threading
from datetime import UTC, datetime

import pytest
from django.db import OperationalError

from registrations.rounds import Chore, go_round

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def test_what_fails_keeps_nothing_else_from_being_done(caplog: pytest.LogCaptureFixture) -> None:
    done: list[datetime] = []

    def fail(now: datetime) -> None:
        raise ZeroDivisionError

    go_round(NOW, [Chore("the worst", fail), Chore("the next", done.append)])
    assert done == [NOW]
    assert "the worst could not be looked after" in caplog.text


def test_a_database_that_is_away_is_told_once_all_have_been_tried() -> None:
    tried: list[datetime] = []

    def ask(now: datetime) -> None:
        tried.append(now)
        raise OperationalError("away")

    with pytest.raises(OperationalError):
        go_round(NOW, [Chore("one", ask), Chore("another", ask)])
    assert tried == [NOW, NOW]


def test_what_takes_longer_than_a_second_is_not_begun_again_and_holds_up_nothing_else() -> None:
    begun, go_on, others = threading.Semaphore(0), threading.Event(), list[datetime]()

    def take_long(now: datetime) -> None:
        begun.release()
        go_on.wait(60)

    chores = [Chore("others", others.append), Chore("a large job", take_long)]
    first = threading.Thread(target=go_round, args=(NOW, chores))
    first.start()
    try:
        assert begun.acquire(timeout=60)
        go_round(NOW, chores)
        assert others == [NOW, NOW]
        assert not begun.acquire(blocking=False)
    finally:
        go_on.set()
        first.join(60)
    go_round(NOW, chores)
    assert begun.acquire(blocking=False)
