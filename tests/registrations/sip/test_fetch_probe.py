"""The fetch: a REGISTER that binds nothing and shows whether users are served."""

import pytest

from registrations.sip.probe import PROBE_SCHEDULE, FetchProbe
from registrations.values import Verdict
from tests.registrations.sip.wire import (
    ACCOUNT,
    CHALLENGE,
    SENT_BY,
    TARGET,
    Tokens,
    reply,
    request_of,
    response_of,
)


def fetch() -> tuple[FetchProbe, bytes]:
    machine = FetchProbe(ACCOUNT, TARGET, SENT_BY, Tokens(), 10.0)
    assert machine.datagrams_to_send() == (), "it waits for a permit like every REGISTER"
    assert machine.wants_permit
    machine.grant(10.0)
    (data,) = machine.datagrams_to_send()
    return machine, data


def test_it_has_neither_a_contact_nor_an_expiry() -> None:
    machine, data = fetch()
    request = request_of(data)
    assert request.method == "REGISTER"
    assert "contact" not in request.headers
    assert "expires" not in request.headers
    assert request.headers["to"] == ["<sip:4101@pbx.example>"]
    assert machine.target == TARGET


def test_a_challenge_is_answered_and_that_waits_for_a_permit_too() -> None:
    machine, data = fetch()
    machine.receive(response_of(reply(data, "401 Unauthorized", CHALLENGE)), 10.1)
    assert (machine.outcome, machine.wants_permit) == (None, True)
    machine.grant(10.2)
    (again,) = machine.datagrams_to_send()
    assert 'username="nurse"' in request_of(again).headers["authorization"][0]
    machine.receive(response_of(reply(again, "200 OK")), 10.3)
    assert machine.outcome is not None
    assert machine.outcome.code == 200


@pytest.mark.parametrize(
    ("status", "verdict"), [("403 Forbidden", Verdict.REFUSED), ("503 Busy", Verdict.BUSY)]
)
def test_a_refusal_and_a_busy_server_are_told_apart(status: str, verdict: Verdict) -> None:
    machine, data = fetch()
    machine.receive(response_of(reply(data, status, "Retry-After: 30")), 10.1)
    assert machine.outcome is not None
    assert machine.outcome.verdict is verdict


def test_silence_ends_it_before_the_next_probe_is_due() -> None:
    machine, _ = fetch()
    sends = 1
    while machine.outcome is None:
        timer = machine.get_timer()
        assert timer is not None
        machine.handle_timer(timer)
        sends += len(machine.datagrams_to_send())
    assert machine.outcome.verdict is Verdict.SILENT
    assert machine.outcome.ended_at == 10.0 + PROBE_SCHEDULE.give_up_after
    assert sends == len(PROBE_SCHEDULE.sends)


def test_a_transport_that_fails_ends_it_at_once() -> None:
    machine, _ = fetch()
    machine.transport_failed("port unreachable", 10.1)
    assert machine.outcome is not None
    assert machine.outcome.verdict is Verdict.UNREACHABLE
