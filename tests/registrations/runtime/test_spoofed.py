"""Answers that are not our registrar's change nothing, with real sockets and a real database."""

import os
import random
import re
import socket

import pytest

from registrations.models import Registration, Transition
from registrations.runtime.engine import Name
from registrations.runtime.loop import LoopThread
from registrations.runtime.tokens import fresh_token
from registrations.sip.message import Request
from tests.support.claims import make_due, make_group, make_lines
from tests.support.peer import Peer, accept, peer
from tests.support.torture import MESSAGES
from tests.support.waiting import wait_until


def answer_to(request: Request, **instead: str) -> bytes:
    """The 200 that binds it, with some of its headers changed."""
    headers = {name: list(values) for name, values in request.headers.items()}
    for name, (old, new) in ((n, v.split("|")) for n, v in instead.items()):
        key = name.replace("_", "-")
        assert old in headers[key][0]
        headers[key][0] = headers[key][0].replace(old, new)
    return accept(Request(request.method, request.uri, headers))


FORGERIES: tuple[dict[str, str], ...] = (
    {"via": "branch=z9hG4bK|branch=z9hG4bK0"},
    {"via": "127.0.0.1:|127.0.0.1:1"},
    {"call_id": "|not-"},
    {"cseq": " REGISTER|1 REGISTER"},
    {"cseq": "REGISTER|INVITE"},
    {"from": ";tag=|;tag=0"},
    {"from": ";tag=|;notag="},
)


def forge(registrar: Peer, request: Request) -> None:
    """All that somebody else could send: from elsewhere what is right, from there what is wrong."""
    assert registrar.last_source is not None
    with socket.socket(type=socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.66", 0))
        elsewhere.sendto(answer_to(request), registrar.last_source)
    with socket.socket(type=socket.SOCK_DGRAM) as other_port:
        other_port.bind((registrar.address[0], 0))
        other_port.sendto(answer_to(request), registrar.last_source)
    for forged in FORGERIES:
        registrar.send(answer_to(request, **forged))
    for data in MESSAGES:
        registrar.send(data[:60_000])


@pytest.mark.usefixtures("database")
def test_forged_answers_and_garbage_change_nothing_and_the_right_one_still_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with peer(answer=None) as registrar:
        place = f"{registrar.address[0]}:{registrar.address[1]}"
        [row] = make_due(make_lines(1, make_group(addresses=(place,))))
        worker = LoopThread(lambda site_id: None, Name("worker@test", ""))
        worker.start()
        try:
            worker.kick(row.site_id)
            asked = 0

            def next_request() -> Request:
                wait_until(lambda: len(registrar.registers()) > asked, 30, "a REGISTER")
                return registrar.registers()[asked][1]

            while (request := next_request()) and "contact" not in request.headers:
                registrar.send(accept(request, "200 OK"))
                asked += 1
            forge(registrar, request)
            # It resends: it has taken none of them for an answer.
            times = len(registrar.heard)
            wait_until(lambda: len(registrar.heard) > times, 30, "a retransmission")
            assert not Transition.objects.exists()
            registrar.send(accept(request))
            wait_until(lambda: Registration.objects.get().state == "primary", 30, "on primary")
        finally:
            worker.stop()
    assert Transition.objects.count() == 1
    assert [r.getMessage() for r in caplog.records if r.levelname in ("ERROR", "CRITICAL")] == []


def test_tokens_are_long_never_the_same_and_of_no_seeded_generator() -> None:
    random.seed(1)
    first = {fresh_token() for _ in range(1000)}
    random.seed(1)
    again = {fresh_token() for _ in range(1000)}
    assert len(first | again) == 2000
    assert all(re.fullmatch("[0-9a-f]{24}", token) for token in first)


def test_a_forked_process_draws_tokens_of_its_own() -> None:
    fresh_token()
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.write(theirs, "".join(fresh_token() for _ in range(10)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    drawn = os.read(ours, 240).decode()
    assert drawn[:24] not in {fresh_token() for _ in range(300)}
