"""Over what a REGISTER leaves: TCP for long ones and where it is preferred, UDP where TCP fails."""

from dataclasses import replace

import pytest

from registrations.sip.register import LONGEST_OVER_UDP, Attempt
from registrations.sip.timers import ladder, rfc3261_schedule
from registrations.values import Verdict
from tests.registrations.sip.wire import ACCOUNT, CONTACT, SENT_BY, TARGET, Line

PREFERRED = replace(TARGET, transport="tcp_preferred")
LONG = replace(ACCOUNT, user="u" * 600)
"""Its user part stands in From and To."""


def via_of(line: Line, target: object = TARGET) -> str:
    return line.begin(target=target).headers["via"][0]  # type: ignore[arg-type]


def test_r21_a_request_over_1300_bytes_goes_over_tcp() -> None:
    line = Line(account=LONG)
    assert via_of(line).startswith("SIP/2.0/TCP ")
    assert len(line.data) > LONGEST_OVER_UDP
    assert line.client.target == replace(TARGET, transport="tcp")


@pytest.mark.parametrize(("more", "spoken"), [(0, "UDP"), (1, "TCP")])
def test_r21_the_border_is_1300_bytes(more: int, spoken: str) -> None:
    line = Line(account=replace(ACCOUNT, instance="i"))
    line.begin()
    instance = "i" * (1 + LONGEST_OVER_UDP - len(line.data) + more)
    line = Line(account=replace(ACCOUNT, instance=instance))
    assert via_of(line).startswith(f"SIP/2.0/{spoken} ")
    assert len(line.data) == LONGEST_OVER_UDP + more


def test_r21_where_tcp_is_refused_the_same_server_is_asked_over_udp() -> None:
    line = Line(account=LONG)
    first = line.begin()
    line.client.transport_failed("Connection refused", 0.1)
    assert line.client.outcome() is None
    assert line.client.wants_permit
    assert line.client.is_retry
    second = line.leave(0.2)
    assert second.headers["via"][0].startswith("SIP/2.0/UDP ")
    assert line.client.target == TARGET
    assert (first.headers["cseq"], second.headers["cseq"]) == (["1 REGISTER"], ["2 REGISTER"])
    assert first.headers["via"] != second.headers["via"]


def test_r21_udp_that_fails_too_ends_the_attempt() -> None:
    line = Line(account=LONG)
    line.begin()
    line.client.transport_failed("Connection refused", 0.1)
    line.leave(0.2)
    line.client.transport_failed("Connection refused", 0.3)
    outcome = line.client.outcome()
    assert outcome is not None
    assert outcome.verdict is Verdict.UNREACHABLE


def test_tcp_preferred_asks_over_tcp_without_retransmission() -> None:
    line = Line()
    assert via_of(line, PREFERRED).startswith("SIP/2.0/TCP ")
    assert line.client.get_timer() == 32.0


def test_tcp_preferred_asks_the_same_server_over_udp_before_it_has_failed() -> None:
    line = Line()
    line.begin(target=PREFERRED)
    line.client.transport_failed("Connection refused", 0.1)
    assert line.leave(0.2).headers["via"][0].startswith("SIP/2.0/UDP ")
    assert line.client.get_timer() == 0.7
    assert line.bind().verdict is Verdict.BOUND


def test_the_next_attempt_tries_tcp_again() -> None:
    line = Line()
    line.begin(target=PREFERRED)
    line.client.transport_failed("Connection refused", 0.1)
    line.leave(0.2)
    line.bind()
    assert via_of(line, PREFERRED).startswith("SIP/2.0/TCP ")


def test_an_answer_over_udp_to_a_challenge_stays_on_udp() -> None:
    line = Line(account=LONG)
    line.begin()
    line.client.transport_failed("Connection refused", 0.1)
    line.leave(0.2)
    line.hear("401 Unauthorized", 'WWW-Authenticate: Digest realm="pbx", nonce="n1"')
    assert line.leave(0.4).headers["via"][0].startswith("SIP/2.0/UDP ")


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_where_tcp_or_tls_is_configured_nothing_falls_back(transport: str) -> None:
    line = Line()
    line.begin(target=replace(TARGET, transport=transport))
    line.client.transport_failed("its certificate has expired", 0.1)
    outcome = line.client.outcome()
    assert outcome is not None
    assert outcome.verdict is Verdict.UNREACHABLE
    assert outcome.sentence == (
        "The server 127.0.0.2:5060 could not be reached: its certificate has expired."
    )


def test_silence_over_preferred_tcp_lasts_as_long_as_tcp_may_take() -> None:
    line = Line()
    short = ladder(1, 100)
    attempt = Attempt(PREFERRED, SENT_BY, CONTACT, 600, short, rfc3261_schedule())
    line.client.begin(attempt, 0.0)
    line.leave()
    assert line.client.get_timer() == 32.0
    line.client.transport_failed("Connection refused", 0.1)
    line.leave(1.0)
    assert line.client.get_timer() == 1.0 + short.sends[1]
