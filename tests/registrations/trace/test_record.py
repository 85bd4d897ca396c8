"""A try as it is kept: small, whole, read back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrations.sip.timers import ladder
from registrations.trace import Ended, Kind, endings, pack, unpack
from registrations.trace.record import MOST_EVENTS, MOST_PACKED
from tests.registrations.trace.wire import NOW, PRIMARY, SECONDARY, Exchange


def test_what_left_and_what_came_is_read_back_in_order_with_its_server() -> None:
    exchange = Exchange()
    exchange.attempt()
    record = unpack(pack(exchange.noted, exchange.ended, "a note"))
    assert record.at == NOW
    assert [event.kind for event in record.events] == [Kind.SENT, Kind.HEARD] * 2
    assert {(e.server_id, e.target, e.transport) for e in record.events} == {
        (1, "127.0.0.2:5060", "udp")
    }
    assert [event.text.split("\n")[0] for event in record.events] == [
        "REGISTER sip:pbx.example SIP/2.0",
        "SIP/2.0 401 Unauthorized",
        "REGISTER sip:pbx.example SIP/2.0",
        "SIP/2.0 200 OK",
    ]
    [ended] = record.ended
    assert ended == Ended(1, pytest.approx(NOW + 0.004), "bound", "", record.events[2].text)
    assert record.note == "a note"


def test_an_answer_is_its_requests_servers_however_they_cross() -> None:
    one, other = Exchange(), Exchange()
    one.attempt(PRIMARY)
    other.token = one.token
    other.attempt(SECONDARY)
    crossed = [one.noted[0], other.noted[0], other.noted[1], one.noted[1]]
    crossed[1] = _with_branch(other.noted[0], b"z9hG4bKother")
    crossed[2] = _with_branch(other.noted[1], b"z9hG4bKother")
    servers = [event.server_id for event in unpack(pack(crossed, ())).events]
    assert servers == [1, 2, 2, 1]


def _with_branch(noted: tuple, branch: bytes) -> tuple:  # type: ignore[type-arg]
    at, kind, target, data = noted
    old = data.partition(b";branch=")[2].split(b";")[0].split(b"\r")[0]
    return at, kind, target, data.replace(old, branch)


def test_a_renewal_takes_few_bytes_and_repeats_take_none() -> None:
    exchange = Exchange()
    exchange.attempt()
    exchange.noted.clear()
    exchange.attempt()
    renewal = pack(exchange.noted, exchange.ended[-1:])
    assert len(renewal) < 450
    exchange.fault(PRIMARY, "")
    exchange.noted.clear()
    exchange.attempt(schedule=ladder(10, 500))
    assert len(exchange.noted) > 8
    assert len(pack(exchange.noted, exchange.ended[-1:])) < 500


def test_a_try_without_end_is_cut_and_says_so() -> None:
    exchange = Exchange()
    exchange.attempt()
    many = exchange.noted * 200
    record = unpack(pack(many, exchange.ended))
    assert len(record.events) == MOST_EVENTS
    assert record.left_out == len(many) - MOST_EVENTS


def test_no_try_is_longer_than_the_ring_expects() -> None:
    exchange = Exchange()
    exchange.attempt()
    at, kind, target, data = exchange.noted[0]
    numbered = [
        (at, kind, target, b"X-%d: %s\r\n" % (n, bytes(str(hash((n, i))), "ascii") * 9) + data)
        for n in range(100)
        for i in range(3)
    ]
    packed = pack(numbered, ())
    assert len(packed) <= MOST_PACKED
    assert unpack(packed).left_out > 0


def test_the_end_at_each_server_is_told_and_a_question_is_none() -> None:
    exchange = Exchange()
    exchange.attempt(contact=None)
    assert endings(exchange.noted, exchange.ended) == {}
    exchange.fault(PRIMARY, "503 Service Unavailable")
    exchange.attempt(PRIMARY)
    exchange.attempt(SECONDARY)
    assert endings(exchange.noted, exchange.ended) == {1: False, 2: True}


@given(st.binary(max_size=200))
def test_what_is_no_packed_try_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a packed try"):
        unpack(b"1" + data)
    with pytest.raises(ValueError, match="not a packed try"):
        unpack(b"7" + data)
