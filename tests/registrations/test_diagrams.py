"""A try as the rows of a ladder, and a comparison in words."""

import pytest

from fleet.models import Server
from registrations import ring
from registrations.shown import diagrams, ladders
from registrations.sip.timers import ladder
from registrations.trace import Try, as_try, pack, unpack
from tests.registrations.trace.wire import PRIMARY, SECONDARY, Exchange

SERVERS = {
    1: Server(pk=1, name="PBX A", priority=1),
    2: Server(pk=2, name="PBX B", priority=2),
}


def tried(exchange: Exchange) -> Try:
    return as_try(unpack(pack(exchange.noted, exchange.ended)))


@pytest.fixture
def moved() -> diagrams.Diagram:
    """The primary silent, the secondary taking it after a challenge."""
    exchange = Exchange()
    exchange.fault(PRIMARY, "")
    exchange.attempt(PRIMARY, schedule=ladder(3, 500))
    exchange.attempt(SECONDARY)
    [drawn] = diagrams.diagrams([tried(exchange)], SERVERS)
    return drawn


def test_each_server_has_a_lifeline_in_the_groups_order(moved: diagrams.Diagram) -> None:
    assert [(line.column, line.name, line.target) for line in moved.lifelines] == [
        (1, "PBX A", "127.0.0.2:5060"),
        (2, "PBX B", "127.0.0.3:5060"),
    ]


def test_rows_go_down_in_time_with_repeats_folded_and_silence_shown(
    moved: diagrams.Diagram,
) -> None:
    assert [(step.kind, step.label, step.span) for step in moved.steps] == [
        ("ask", "REGISTER", 1),
        ("again", "sent again 3 times", 1),
        ("nothing", "no answer", 1),
        ("ask", "REGISTER", 2),
        ("answer", "401 Unauthorized", 2),
        ("ask", "REGISTER", 2),
        ("answer", "200 OK", 2),
    ]
    assert moved.steps[1].note == "after 0.5, 1.0, 1.5 s"
    assert moved.steps[2].note == "Did not answer within 2 s."
    assert not moved.steps[2].is_good
    assert moved.steps[0].delta is None and moved.steps[2].delta == pytest.approx(1.5)
    assert [len(step.rest) for step in moved.steps] == [1, 1, 1, 0, 0, 0, 0]


def test_its_verdict_is_the_last_word_of_each_server(moved: diagrams.Diagram) -> None:
    assert moved.verdict == (
        "PBX A: Did not answer within 2 s. PBX B: Took the registration for 60 s."
    )
    assert moved.state == "secondary"
    assert moved.seconds == pytest.approx(2.004, abs=0.01)
    assert "from PBX B (127.0.0.3:5060, UDP)" in moved.text


def test_servers_of_a_fallback_group_are_asked_side_by_side() -> None:
    one, other = Exchange(), Exchange()
    one.attempt(PRIMARY)
    other.now += 0.001
    numbers = iter(range(100, 200))
    other.client._token = lambda: f"other{next(numbers)}"
    other.attempt(SECONDARY)
    one.noted, one.ended = [*one.noted, *other.noted], [*one.ended, *other.ended]
    one.noted.sort(key=lambda noted: noted[0])
    [drawn] = diagrams.diagrams([tried(one)], SERVERS)
    assert [step.span for step in drawn.steps[:2]] == [1, 2]
    assert [step.at for step in drawn.steps] == sorted(step.at for step in drawn.steps)


def test_a_server_that_is_gone_still_has_its_lifeline(moved: diagrams.Diagram) -> None:
    exchange = Exchange()
    exchange.attempt(PRIMARY)
    [drawn] = diagrams.diagrams([tried(exchange)], {})
    assert drawn.lifelines[0].name == ladders.GONE


def test_a_comparison_says_what_each_side_came_to() -> None:
    exchange = Exchange()
    exchange.attempt()
    success = unpack(pack(exchange.noted, exchange.ended))
    exchange.noted.clear()
    exchange.ended.clear()
    exchange.fault(PRIMARY, "")
    exchange.attempt(schedule=ladder(3, 500))
    failure = unpack(pack(exchange.noted, exchange.ended))
    comparison = ladders._comparison(ring.Pair(1, failure, success))
    assert comparison is not None
    [side_by_side] = diagrams.versus([comparison], SERVERS)
    assert side_by_side.name == "PBX A"
    assert side_by_side.success is not None
    assert side_by_side.success.words == "Took the registration for 60 s."
    assert side_by_side.success.effort == "Sent once, answered after 2 ms"
    assert side_by_side.failure.effort == "Sent 4 times, no answer"
