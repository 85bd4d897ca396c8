"""The OPTIONS probe: any final answer is a sign of life."""

import pytest

from registrations.sip.probe import PROBE_SCHEDULE, OptionsProbe
from registrations.values import Target
from tests.registrations.sip.wire import SENT_BY, TARGET, Tokens, reply, request_of, response_of


def probe(target: Target = TARGET) -> tuple[OptionsProbe, bytes]:
    machine = OptionsProbe(target, SENT_BY, Tokens(), 10.0)
    (data,) = machine.datagrams_to_send()
    return machine, data


def test_the_request_asks_the_server_and_no_handset() -> None:
    machine, data = probe(Target(1, "2001:db8::1", 5060))
    request = request_of(data)
    assert (request.method, request.uri) == ("OPTIONS", "sip:[2001:db8::1]:5060")
    assert request.headers["to"] == ["<sip:[2001:db8::1]:5060>"]
    assert request.headers["cseq"] == ["1 OPTIONS"]
    assert request.headers["via"] == [f"SIP/2.0/UDP {SENT_BY};branch={machine.branch};rport"]
    assert machine.target.server_id == 1


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "404 Not Found", "503 Busy"])
def test_any_final_answer_counts(status: str) -> None:
    machine, data = probe()
    machine.receive(response_of(reply(data, status)), 10.2)
    assert (machine.answered, machine.answer) == (True, status)
    assert (machine.started_at, machine.ended_at) == (10.0, 10.2)
    assert machine.get_timer() is None


def test_a_provisional_answer_is_not_final() -> None:
    machine, data = probe()
    machine.receive(response_of(reply(data, "100 Trying")), 10.1)
    assert machine.answered is None


def test_silence_is_noticed_well_before_the_next_probe_is_due() -> None:
    machine, data = probe()
    sent = []
    while (at := machine.get_timer()) is not None:
        machine.handle_timer(at)
        sent += [at - 10.0 for _ in machine.datagrams_to_send()]
    assert sent == [0.5, 1.5]
    assert (machine.answered, machine.answer) == (False, "no answer within 3.5 s")
    assert machine.asked_at == 11.5
    assert machine.ended_at == 10.0 + PROBE_SCHEDULE.give_up_after
    machine.receive(response_of(reply(data, "200 OK")), 14.0)
    machine.handle_timer(15.0)
    assert machine.answered is False


def test_a_hanging_100_trying_does_not_prolong_the_probe() -> None:
    machine, data = probe()
    machine.receive(response_of(reply(data, "100 Trying")), 10.1)
    machine.handle_timer(13.5)
    assert machine.answered is False


def test_a_transport_failure_ends_it_once() -> None:
    machine, data = probe()
    machine.transport_failed("port unreachable", 10.3)
    machine.transport_failed("again", 10.4)
    assert (machine.answered, machine.answer) == (False, "port unreachable")
    assert machine.get_timer() is None
    machine.receive(response_of(reply(data, "200 OK")), 10.5)
    machine.handle_timer(99.0)
    assert (machine.answered, machine.ended_at) == (False, 10.3)


def test_somebody_elses_answer_changes_nothing() -> None:
    machine, data = probe()
    machine.receive(response_of(reply(data, "200 OK", call_id="forged")), 10.1)
    assert machine.answered is None


def test_a_probe_over_preferred_tcp_goes_on_over_udp_where_tcp_fails() -> None:
    machine, data = probe(Target(1, "127.0.0.2", 5060, "tcp_preferred"))
    assert request_of(data).headers["via"][0].startswith("SIP/2.0/TCP ")
    machine.transport_failed("Connection refused", 10.1)
    assert machine.answered is None
    assert machine.target.transport == "udp"
    (again,) = machine.datagrams_to_send()
    assert request_of(again).headers["via"][0].startswith("SIP/2.0/UDP ")
    machine.receive(response_of(reply(data, "200 OK")), 10.2)
    assert machine.answered is None
    machine.receive(response_of(reply(again, "200 OK")), 10.3)
    assert machine.answered is True


def test_a_probe_that_failed_over_udp_too_is_over() -> None:
    machine, _ = probe(Target(1, "127.0.0.2", 5060, "tcp_preferred"))
    machine.transport_failed("Connection refused", 10.1)
    machine.transport_failed("Connection refused", 10.2)
    assert (machine.answered, machine.answer) == (False, "Connection refused")
