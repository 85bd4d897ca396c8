"""Spans of a line's history: they tile the period whatever the history is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrations.models import State
from registrations.queries.spans import NOTHING_KNOWN, Change, lengths, spans, tile
from tests.support.rows import make_group, make_registration, make_transition

START = datetime(2026, 3, 28, 12, tzinfo=UTC)
END = START + timedelta(days=1)
HOUR = timedelta(hours=1)

MOMENTS = st.integers(-100_000, 200_000).map(lambda s: START + timedelta(seconds=s))
CHANGES = st.lists(st.builds(Change, MOMENTS, st.sampled_from(State.values), st.text(max_size=3)))


def change(hours: float, state: str = "primary", server: str = "PBX A") -> Change:
    return Change(START + hours * HOUR, state, server)


def told(tiled: Any) -> list[tuple[float, float, str, str]]:
    return [
        ((s.start - START) / HOUR, (s.end - START) / HOUR, str(s.state), s.server) for s in tiled
    ]


@given(changes=CHANGES, unknown_since=st.none() | MOMENTS)
def test_spans_tile_the_period(changes: list[Change], unknown_since: datetime | None) -> None:
    tiled = tile(changes, START, END, unknown_since)
    assert tiled[0].start == START
    assert tiled[-1].end == END
    assert all(one.end == next_one.start for one, next_one in zip(tiled, tiled[1:], strict=False))
    assert all(span.start < span.end for span in tiled)
    assert sum(lengths(tiled).values(), timedelta()) == END - START


@given(changes=CHANGES, at=st.integers(0, 86_399).map(lambda s: START + timedelta(seconds=s)))
def test_at_any_moment_the_span_says_what_the_last_change_before_it_said(
    changes: list[Change], at: datetime
) -> None:
    [span] = [one for one in tile(changes, START, END) if one.start <= at < one.end]
    before = [one for one in sorted(changes, key=lambda c: c.at) if one.at <= at]
    assert (span.state, span.server) == (before[-1][1:3] if before else (NOTHING_KNOWN, ""))


def test_before_the_first_change_nothing_is_known() -> None:
    assert told(tile([change(3)], START, END)) == [(0, 3, "", ""), (3, 24, "primary", "PBX A")]


def test_the_period_begins_with_what_held_then() -> None:
    tiled = tile([change(-50), change(-2, "secondary", "PBX B"), change(5)], START, END)
    assert told(tiled) == [(0, 5, "secondary", "PBX B"), (5, 24, "primary", "PBX A")]
    assert tiled[0].change is not None and tiled[0].change.at < START


def test_a_change_at_the_edges_belongs_to_what_follows() -> None:
    assert told(tile([change(0), change(24, "unknown")], START, END)) == [
        (0, 24, "primary", "PBX A")
    ]


def test_of_one_moment_the_last_change_counts() -> None:
    tiled = tile([change(1, "unknown", ""), change(1, "registering", "")], START, END)
    assert told(tiled)[1:] == [(1, 24, "registering", "")]


def test_what_is_unknown_now_is_unknown_since_then_although_no_row_says_so() -> None:
    tiled = tile([change(1)], START, END, unknown_since=START + 20 * HOUR)
    assert told(tiled)[1:] == [(1, 20, "primary", "PBX A"), (20, 24, "unknown", "")]


def test_a_period_of_no_length_has_no_span() -> None:
    assert tile([change(0)], START, START) == []


@pytest.mark.django_db
def test_spans_are_read_for_many_lines_in_two_queries(django_assert_num_queries: Any) -> None:
    group = make_group()
    one, other, new = (make_registration(group) for _ in range(3))
    for line, hours, state, server in (
        (one, -30, "primary", "PBX A"),
        (one, -1, "secondary", "PBX B"),
        (one, 4, "primary", "PBX A"),
        (other, 1, "primary", "PBX A"),
        (other, 30, "secondary", "PBX B"),
    ):
        make_transition(line, at=START + hours * HOUR, to_state=state, to_server=server)
    with django_assert_num_queries(2):
        found = spans([one.pk, other.pk, new.pk], START, END)
    assert told(found[one.pk]) == [(0, 4, "secondary", "PBX B"), (4, 24, "primary", "PBX A")]
    assert told(found[other.pk]) == [(0, 1, "", ""), (1, 24, "primary", "PBX A")]
    assert told(found[new.pk]) == [(0, 24, "", "")]
    assert found[one.pk][1].change is not None and found[one.pk][1].change.cause == "failover"
