"""A success and a failure side by side: what differs is marked, what always differs is not."""

from dataclasses import replace

import pytest

from registrations.trace import Transaction, as_try, pack, unpack
from registrations.trace.compare import Kind, Row, compared
from tests.registrations.trace.wire import PRIMARY, Exchange


def transactions(exchange: Exchange) -> tuple[Transaction, ...]:
    return as_try(unpack(pack(exchange.noted, exchange.ended))).transactions


@pytest.fixture
def pair() -> tuple[Transaction, Transaction]:
    """A renewal that was taken, and the next one, refused."""
    exchange = Exchange()
    exchange.attempt()
    exchange.noted.clear()
    exchange.attempt()
    [took] = transactions(exchange)
    exchange.noted.clear()
    exchange.fault(PRIMARY, "503 Service Unavailable", "Retry-After: 30")
    exchange.attempt()
    [refused] = transactions(exchange)
    return took, refused


def by_kind(rows: list[Row], kind: Kind) -> set[str]:
    return {row.name for row in rows if row.kind is kind}


def test_two_renewals_ask_the_same_but_for_what_changes_each_time(
    pair: tuple[Transaction, Transaction],
) -> None:
    request, _ = compared(*pair)
    assert by_kind(request, Kind.DIFFERS) == set()
    assert by_kind(request, Kind.ALWAYS) == {"Via", "CSeq", "Authorization"}
    assert {"Request", "From", "Call-ID", "Contact", "Expires"} <= by_kind(request, Kind.SAME)


def test_what_the_server_said_otherwise_is_marked_line_by_line(
    pair: tuple[Transaction, Transaction],
) -> None:
    _, answer = compared(*pair)
    marked = {row.name: (row.one, row.other) for row in answer if row.kind is Kind.DIFFERS}
    assert marked["Answer"] == ("SIP/2.0 200 OK", "SIP/2.0 503 Service Unavailable")
    assert marked["Retry-After"] == ("", "30")
    assert marked["Contact"][1] == ""
    assert "Call-ID" in by_kind(answer, Kind.SAME)


def test_another_contact_is_a_difference(pair: tuple[Transaction, Transaction]) -> None:
    took, _ = pair
    moved = replace(took, request=took.request.replace("127.0.0.1:9000", "192.0.2.7:5060"))
    request, _ = compared(took, moved)
    assert by_kind(request, Kind.DIFFERS) == {"Contact"}


def test_silence_is_one_difference_and_not_every_line_of_the_answer(
    pair: tuple[Transaction, Transaction],
) -> None:
    took, _ = pair
    _, answer = compared(took, replace(took, answers=()))
    assert answer == [Row("Answer", "SIP/2.0 200 OK", "", Kind.DIFFERS)]
