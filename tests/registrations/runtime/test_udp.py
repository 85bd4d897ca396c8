"""Sockets towards registrars: errors that name the request, and nobody else's datagrams."""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from registrations.runtime import udp
from registrations.runtime.udp import UdpTransport, is_signalling_failure
from registrations.sip.headers import parse_via
from registrations.sip.message import branch_of_request
from registrations.values import Target
from tests.support.peer import Peer, peer
from tests.support.waiting import wait_until

REQUEST = (
    b"OPTIONS sip:127.0.0.64 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK%s;rport\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def closed_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.64", 0))
        port: int = free.getsockname()[1]
        return port


class Ears:
    """What a transport reports."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []
        self.failures: list[tuple[str | None, str]] = []

    def datagram(self, data: bytes, source: Any, reply: Callable[[bytes], None]) -> None:
        self.datagrams.append(data)

    def failure(self, target: Target, branch: str | None, why: str) -> None:
        self.failures.append((branch, why))


def with_transport(body: Callable[[UdpTransport, Ears], Any], ears: Ears | None = None) -> Ears:
    ears = ears or Ears()

    async def run() -> None:
        transport = UdpTransport(asyncio.get_running_loop(), ears.datagram, ears.failure)
        try:
            await body(transport, ears)
        finally:
            transport.close()

    asyncio.run(run())
    return ears


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not in time")


def test_an_icmp_error_names_the_request_it_is_about() -> None:
    target = Target(1, "127.0.0.64", closed_port())

    async def body(transport: UdpTransport, ears: Ears) -> None:
        for name in (b"one", b"two", b"three"):
            assert transport.send(target, REQUEST % name) is None
        await until(lambda: len(ears.failures) == 3)

    ears = with_transport(body)
    assert {branch for branch, _ in ears.failures} == {
        "z9hG4bKone",
        "z9hG4bKtwo",
        "z9hG4bKthree",
    }
    assert {why for _, why in ears.failures} == {"Connection refused"}


def test_after_an_icmp_error_the_socket_still_hears() -> None:
    target = Target(1, "127.0.0.64", closed_port())

    async def body(transport: UdpTransport, ears: Ears) -> None:
        for n in range(3):
            transport.send(target, REQUEST % str(n).encode())
            await until(lambda n=n: len(ears.failures) == n + 1)

    assert len(with_transport(body).failures) == 3


def test_answers_of_the_target_are_heard_and_strangers_are_not() -> None:
    with peer() as registrar, peer("127.0.0.65") as stranger:
        target = Target(1, *registrar.address)

        async def body(transport: UdpTransport, ears: Ears) -> None:
            stranger.last_source = transport.local(target)
            stranger.send(b"SIP/2.0 200 OK\r\n\r\n")
            transport.send(target, REQUEST % b"x")
            await until(lambda: bool(ears.datagrams))
            await asyncio.sleep(0.05)

        ears = with_transport(body)
    assert len(ears.datagrams) == 1
    assert b"z9hG4bKx" in ears.datagrams[0]


class Asking(Ears):
    """Sends one request for each answer it hears."""

    def __init__(self, target: Target, requests: list[bytes]) -> None:
        super().__init__()
        self.target, self.requests = target, requests
        self.transport: UdpTransport | None = None

    def datagram(self, data: bytes, source: Any, reply: Callable[[bytes], None]) -> None:
        super().datagram(data, source, reply)
        if self.requests and self.transport is not None:
            assert self.transport.send(self.target, self.requests.pop(0)) is None


def heard_at_once(registrar: Peer, asking: Asking, answers: int) -> None:
    """Let so many answers lie there before the first is read, and all that follows happen."""

    async def body(transport: UdpTransport, ears: Ears) -> None:
        asking.transport = transport
        registrar.last_source = transport.local(asking.target)
        for _ in range(answers):
            registrar.send(b"SIP/2.0 200 OK\r\n\r\n")
        await until(lambda: len(asking.datagrams) >= answers)
        await asyncio.sleep(0)

    with_transport(body, asking)


def test_requests_that_answers_bring_about_leave_all_and_in_order() -> None:
    names = [b"n%d" % n for n in range(3 * udp.SENT_AT_ONCE + 5)]
    with peer(answer=None) as registrar:
        target = Target(1, *registrar.address)
        heard_at_once(registrar, Asking(target, [REQUEST % name for name in names]), len(names))
        wait_until(lambda: len(registrar.heard) == len(names), 30, "all have come")
        branches = [parse_via(said.headers["via"][0]).branch for _, said in registrar.heard]
    assert branches == [f"z9hG4bK{name.decode()}" for name in names]


class Busy(Asking):
    """Takes long over the second answer, and looks at the third what had left by then."""

    registrar: Peer
    had_left = False

    def datagram(self, data: bytes, source: Any, reply: Callable[[bytes], None]) -> None:
        super().datagram(data, source, reply)
        if len(self.datagrams) == 2:
            time.sleep(2 * udp.GATHERED_S)
        if len(self.datagrams) == 3:
            wait_until(lambda: self.registrar.heard, 10, "it had left by then")
            self.had_left = True


def test_where_there_is_much_to_read_they_leave_before_all_of_it_is_read() -> None:
    """A permit is for a moment: what leaves late falls nearer to what follows than its cap lets."""
    with peer(answer=None) as registrar:
        busy = Busy(Target(1, *registrar.address), [REQUEST % b"one"])
        busy.registrar = registrar
        heard_at_once(registrar, busy, 3)
    assert busy.had_left


def test_one_of_them_that_cannot_leave_is_named_and_the_others_leave() -> None:
    long = REQUEST % b"long" + b"x" * 70_000
    with peer(answer=None) as registrar:
        asking = Asking(Target(1, *registrar.address), [REQUEST % b"one", long, REQUEST % b"two"])
        heard_at_once(registrar, asking, 3)
        wait_until(lambda: len(registrar.heard) == 2, 30, "both have come")
    assert asking.failures == [("z9hG4bKlong", "Message too long")]


def test_a_name_is_no_target() -> None:
    async def body(transport: UdpTransport, ears: Ears) -> None:
        with pytest.raises(OSError, match="not an IP address"):
            transport.local(Target(1, "pbx.example", 5060))
        why = transport.send(Target(1, "pbx.example", 5060), b"x")
        assert why is not None

    with_transport(body)


@pytest.mark.parametrize(
    ("origin", "kind", "code", "fails"),
    [
        (2, 3, 0, True),
        (2, 3, 1, True),
        (2, 3, 2, True),
        (2, 3, 3, True),
        (2, 3, 4, False),
        (2, 4, 0, False),
        (2, 11, 0, False),
        (2, 12, 0, True),
        (3, 1, 4, True),
        (3, 2, 0, False),
        (3, 3, 0, False),
        (3, 4, 0, True),
        (1, 0, 0, True),
        (0, 0, 0, False),
    ],
)
def test_only_the_icmp_errors_of_rfc_3261_18_4_are_failures(
    origin: int, kind: int, code: int, fails: bool
) -> None:
    assert is_signalling_failure(origin, kind, code) is fails


def test_a_quoted_request_that_was_cut_before_its_branch_ends_names_none() -> None:
    assert branch_of_request(REQUEST % b"x") == "z9hG4bKx"
    assert branch_of_request((REQUEST % b"x")[:70]) is None
