"""The history leaf by leaf: every change once, in order, in bounded time, and honest about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from registrations import queries
from registrations.models import Transition
from registrations.queries import leaves, limits
from tests.support.rows import make_transition

pytestmark = pytest.mark.usefixtures("database")

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def fill(rows: int, apart: timedelta = timedelta(seconds=20)) -> list[int]:
    """Several share each moment, so that leaves end between equal times. Newest first."""
    made = [make_transition(at=START + (n // 3) * apart).pk for n in range(rows)]
    return made[::-1]


def ids(leaf: queries.Leaf) -> list[int]:
    return [change.pk for change in leaf.rows]


def test_leaves_down_and_up_again_hold_every_change_once_in_order() -> None:
    expected, found = fill(25), queries.transitions()
    leaf = queries.leaf(found, 4)
    down, seen = [leaf], ids(leaf)
    while leaf.older:
        leaf = queries.leaf(found, 4, before=queries.Mark.read(str(leaf.older)))
        down.append(leaf)
        seen += ids(leaf)
    assert seen == expected
    for above in down[-2::-1]:
        assert leaf.newer is not None
        leaf = queries.leaf(found, 4, after=leaf.newer)
        assert ids(leaf) == ids(above)
    assert leaf.newer is None


def test_a_change_that_comes_in_meanwhile_shifts_nothing() -> None:
    expected, found = fill(9), queries.transitions()
    first = queries.leaf(found, 4)
    newest = make_transition(at=START + timedelta(days=1)).pk
    second = queries.leaf(found, 4, before=first.older)
    assert ids(first) + ids(second) == expected[:8]
    back = queries.leaf(found, 4, after=second.newer)
    assert ids(back) == expected[:4]
    assert back.newer is not None
    assert ids(queries.leaf(found, 4, after=back.newer)) == [newest]


@pytest.mark.parametrize("text", ["", "x", "-", "1-", "-1", "1-2-3", "9" * 30 + "-1", "²-1"])
def test_a_mark_that_marks_nothing_is_none(text: str) -> None:
    assert queries.Mark.read(text) is None


@contextmanager
def no_time() -> Iterator[None]:
    raise limits.TooLong
    yield


def test_a_search_that_ran_out_of_time_says_how_far_it_came_and_goes_on_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected, found = fill(30, apart=timedelta(hours=3)), queries.transitions()
    whole = limits.at_most
    monkeypatch.setattr(leaves, "at_most", lambda s: whole(s) if s > 10 else no_time())
    seen, before, cut = [], None, 0
    for _ in range(40):
        leaf = queries.leaf(found, 50, before=before, until=START + timedelta(days=2))
        seen += ids(leaf)
        if leaf.searched_to is None:
            break
        cut += 1
        assert leaf.older is not None
        assert all(change.at >= leaf.searched_to for change in leaf.rows)
        before = queries.Mark.read(str(leaf.older))
        if before is not None and before.at < START:
            break
    assert cut > 3
    assert seen == expected


def test_what_takes_too_long_is_given_up() -> None:
    endless = (
        "SELECT pg_sleep(60)"
        if connection.vendor == "postgresql"
        else "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    )
    with pytest.raises(limits.TooLong), limits.at_most(0.1), connection.cursor() as cursor:
        cursor.execute(endless)
    assert Transition.objects.count() == 0, "the connection is as good as before"


def test_more_than_is_counted_is_said_as_one_more() -> None:
    fill(7)
    assert queries.count(queries.transitions(), 7) == 7
    assert queries.count(queries.transitions(), 5) == 6
    assert queries.count(queries.transitions(), None) == 7
