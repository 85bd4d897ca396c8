"""What a tick looks after beside hints: all of it each second, whatever one of them does."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError

from registrations import rounds
from registrations.models import Channel, Delivery, Drill, ExportJob, Job
from registrations.rounds import CHORES, WORK, Chore, go_round
from tests.support import claims

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


def kept(now: datetime, **more: Any) -> None:
    channel = Channel.objects.create(name="mail", kind=Channel.Kind.EMAIL)
    Delivery.objects.create(channel=channel, message={}, created_at=now, next_try_at=now, **more)


@pytest.mark.django_db
def test_what_has_nothing_to_do_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    done = list[datetime]()
    chores = [Chore("messages", done.append, ["messages"])]
    go_round(NOW, chores)
    go_round(NOW, chores)
    assert done == [NOW], "only the first one, which cannot know"
    kept(NOW)
    go_round(NOW, chores)
    assert done == [NOW, NOW]
    Delivery.objects.update(state=Delivery.State.SENT)
    go_round(NOW, chores)
    assert done == [NOW, NOW]
    monkeypatch.setattr(rounds, "ANYHOW_S", 0.0)
    go_round(NOW, chores)
    assert done == [NOW, NOW, NOW]


@pytest.mark.django_db
def test_where_nothing_waits_one_statement_says_so(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert WORK.seen() == frozenset()


def test_every_chore_that_waits_for_something_waits_for_what_is_asked() -> None:
    waits = [chore.waits for chore in CHORES if chore.waits]
    assert frozenset[str]().union(*waits) == frozenset(WORK.kinds)


@pytest.mark.django_db
def test_jobs_drills_drains_exports_and_whoever_may_be_called_home_are_seen() -> None:
    group = claims.make_group(fast_failover=True)
    [row] = claims.make_due(claims.make_lines(1, group))
    server = group.servers.get(priority=1)
    assert WORK.seen() == frozenset()
    ExportJob.objects.create(kind="handsets", asked_by="admin", rows=1)
    assert WORK.seen() == {"exports"}
    Job.objects.create(scope={"group": group.pk}, finished_at=NOW, writing_until=NOW)
    assert WORK.seen() == {"exports", "jobs"}
    Drill.objects.create(scope={}, minutes=5)
    server.drains.create(begins_at=NOW, ends_at=NOW)
    assert WORK.seen() == {"exports", "jobs", "drills", "drains"}
    row.state = "secondary"
    row.save()
    assert WORK.seen() == {"exports", "jobs", "drills", "drains", "away"}


def test_where_what_waits_cannot_be_asked_for_all_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away() -> frozenset[str]:
        raise OperationalError("away")

    monkeypatch.setattr(WORK, "seen", away)
    done = list[datetime]()
    chore = Chore("messages", done.append, ["messages"])
    for _ in range(2):
        with pytest.raises(OperationalError):
            go_round(NOW, [chore])
    assert done == [NOW, NOW]
