"""A recorded try as transactions, each with its end in words."""

import pytest

from registrations.sip.timers import ladder
from registrations.trace import Kind, Try, as_try, pack, unpack
from registrations.trace.ladder import End
from tests.registrations.trace.wire import PRIMARY, SECONDARY, Exchange


def ladder_of(exchange: Exchange, note: str = "") -> Try:
    return as_try(unpack(pack(exchange.noted, exchange.ended, note)))


def test_a_challenge_and_the_registration_that_follows() -> None:
    exchange = Exchange()
    exchange.attempt()
    first, second = ladder_of(exchange).transactions
    assert (first.end, first.sentence) == (End.AGAIN, "Asked for credentials for “pbx.example”.")
    assert [answer.line for answer in first.answers] == ["401 Unauthorized"]
    assert not first.has_credentials and second.has_credentials
    assert (second.end, second.sentence) == (End.TOOK, "Took the registration for 60 s.")
    assert [answer.line for answer in second.answers] == ["200 OK"]
    assert (first.cseq, second.cseq) == ("1", "2")
    assert second.seconds == pytest.approx(0.002, abs=0.001)


def test_a_silent_server_is_one_transaction_with_all_its_sends() -> None:
    exchange = Exchange()
    exchange.fault(PRIMARY, "")
    exchange.attempt(schedule=ladder(3, 500))
    [only] = ladder_of(exchange).transactions
    assert [round(at - only.started_at, 1) for at in only.sends] == [0.0, 0.5, 1.0, 1.5]
    assert only.answers == ()
    assert only.end is End.SILENT
    assert only.sentence == "The server 127.0.0.2:5060 did not answer within 2 s."
    assert only.seconds == pytest.approx(2.0)


def test_a_move_shows_both_servers_in_order() -> None:
    exchange = Exchange()
    exchange.fault(PRIMARY, "503 Service Unavailable", "Retry-After: 120")
    exchange.attempt(PRIMARY)
    exchange.attempt(SECONDARY)
    whole = ladder_of(exchange)
    assert [(t.server_id, t.end) for t in whole.transactions] == [
        (1, End.BUSY),
        (2, End.AGAIN),
        (2, End.TOOK),
    ]
    assert "(503 Service Unavailable)" in whole.transactions[0].sentence
    assert [t.server_id for t in whole.at_server(2).transactions] == [2, 2]


def test_a_question_who_is_bound_is_no_failure() -> None:
    exchange = Exchange()
    exchange.attempt(contact=None)
    exchange.attempt()
    asked = ladder_of(exchange).transactions
    assert [t.end for t in asked] == [End.AGAIN, End.TOLD, End.TOOK]
    assert not asked[1].binds and asked[2].binds
    assert "holds no registration" in asked[1].sentence


def test_a_refusal_is_told_in_the_agents_words() -> None:
    exchange = Exchange()
    exchange.fault(PRIMARY, "403 Forbidden")
    exchange.attempt()
    [only] = ladder_of(exchange).transactions
    assert only.end is End.REFUSED
    assert only.sentence == "The server forbids this handset to register (403 Forbidden)."


def test_too_short_a_registration_is_asked_again() -> None:
    exchange = Exchange()
    exchange.attempt(expires=5)
    ends = [t.sentence for t in ladder_of(exchange).transactions]
    assert "Wanted a registration of at least 10 s." in ends
    assert ends[-1] == "Took the registration for 10 s."


def test_a_request_that_could_not_be_delivered_says_why() -> None:
    exchange = Exchange()
    exchange.fault(PRIMARY, "")
    exchange.attempt(schedule=ladder(1, 500))
    del exchange.noted[1:]
    at = exchange.noted[0][0]
    exchange.noted.append((at + 0.001, Kind.FAILED, PRIMARY, "Connection refused"))
    exchange.ended = [exchange.ended[0]._replace(verdict="unreachable", at=at + 0.001)]
    [only] = ladder_of(exchange).transactions
    assert (only.failure, only.end) == ("Connection refused", End.UNREACHABLE)


def test_a_try_that_was_cut_short_says_so() -> None:
    exchange = Exchange()
    exchange.attempt()
    exchange.noted = exchange.noted[:3]
    exchange.ended = []
    last = ladder_of(exchange, "the worker stopped").transactions[-1]
    assert (last.end, last.ended_at) == (End.CUT, None)
    assert last.sentence == "How it ended is not kept: the worker stopped."
