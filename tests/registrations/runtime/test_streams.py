"""TCP and TLS connections: shared, opened anew, kept alive, and honest about why they failed."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from registrations.runtime import streams
from registrations.runtime.streams import BACK_OFF_S, StreamTransport
from registrations.sip import message
from registrations.sip.stream import PING, PONG, Framer
from registrations.values import Target
from tests.support.certificates import Authority, Issued
from tests.support.peer import accept
from tests.support.torture import MESSAGES

HOST = "127.0.0.66"
REQUEST = (
    "OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{name};rport\r\n"
    "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: {name}\r\nCSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)


def request(name: str) -> bytes:
    return REQUEST.format(host=HOST, name=name).encode()


@dataclass
class Server:
    """A peer on a TCP port: keeps what it hears, answers unless told to be silent."""

    answers: bool = True
    pongs: bool = True
    heard: list[bytes] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    sockets: asyncio.Server | None = None
    port: int = 0

    async def start(self, tls: ssl.SSLContext | None = None, host: str = HOST) -> None:
        self.sockets = await asyncio.start_server(self._serve, host, self.port, ssl=tls)
        self.port = self.sockets.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self.sockets is not None
        self.sockets.close()
        for writer in self.writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        framer = Framer()
        while data := await reader.read(65_536):
            for one in framer.feed(data):
                self.heard.append(one)
                if one == PING and self.pongs:
                    writer.write(PONG)
                elif one not in (PING, PONG) and self.answers:
                    said = message.parse(one)
                    if isinstance(said, message.Request):
                        writer.write(accept(said))
        writer.close()


@dataclass
class Ears:
    """What a transport reports."""

    messages: list[bytes] = field(default_factory=list)
    failures: list[tuple[str | None, str]] = field(default_factory=list)

    def message(self, data: bytes, source: Any, reply: Callable[[bytes], None]) -> None:
        self.messages.append(data)
        if not data.startswith(b"SIP/"):
            reply(b"SIP/2.0 200 OK\r\nCSeq: 1 NOTIFY\r\nContent-Length: 0\r\n\r\n")

    def failure(self, target: Target, branch: str | None, why: str) -> None:
        self.failures.append((branch, why))


Body = Callable[[StreamTransport, Server, Ears], Awaitable[None]]


def run(body: Body, *, tls: ssl.SSLContext | None = None, **times: float) -> tuple[Server, Ears]:
    """Run against a started server, with a transport that is closed afterwards."""
    ears, server = Ears(), Server()

    async def all_of_it() -> None:
        await server.start(tls)
        loop = asyncio.get_running_loop()
        transport = StreamTransport(loop, ears.message, ears.failure, **times)
        try:
            await body(transport, server, ears)
        finally:
            transport.close()
            await server.stop()
            await asyncio.sleep(0)

    asyncio.run(all_of_it())
    return server, ears


async def until(condition: Callable[[], object]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not in time")


def at(server: Server, transport: str = "tcp") -> Target:
    return Target(1, HOST, server.port, transport)


def free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port: int = free.getsockname()[1]
        return port


def test_all_requests_to_one_server_share_one_connection() -> None:
    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        for number in range(50):
            assert transport.send(at(server), request(f"a{number}")) is None
        await until(lambda: len(ears.messages) == 50)
        other = replace(at(server), server_id=2, transport="tcp_preferred")
        transport.send(other, request("b"))
        await until(lambda: len(ears.messages) == 51)

    server, _ = run(body)
    assert len(server.writers) == 1


def test_our_address_is_known_before_the_connection_is_there_and_stays() -> None:
    seen = []

    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        seen.append(transport.local(at(server)))
        transport.send(at(server), request("a"))
        await until(lambda: ears.messages)
        seen.append(transport.local(at(server)))
        seen.append(server.writers[0].get_extra_info("peername"))

    run(body)
    assert seen[0] == seen[1] == seen[2]


def test_a_refused_connection_fails_every_request_that_waited_for_it() -> None:
    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        nobody = replace(at(server), port=free_port())
        for name in ("a", "b"):
            assert transport.send(nobody, request(name)) is None
        await until(lambda: len(ears.failures) == 2)

    _, ears = run(body)
    assert ears.failures == [
        ("z9hG4bKa", "Connection refused"),
        ("z9hG4bKb", "Connection refused"),
    ]


def test_after_a_failure_requests_wait_a_moment_and_are_not_failed_by_what_others_met() -> None:
    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        target = at(server)
        await server.stop()
        await until(lambda: server.sockets is not None and not server.sockets.is_serving())
        transport.send(target, request("a"))
        await until(lambda: ears.failures)
        started = asyncio.get_running_loop().time()
        assert transport.send(target, request("b")) is None
        await server.start()
        await until(lambda: ears.messages)
        assert asyncio.get_running_loop().time() - started > BACK_OFF_S * 0.4

    _, ears = run(body)
    assert b"z9hG4bKb" in ears.messages[0]
    assert [branch for branch, _ in ears.failures] == ["z9hG4bKa"]


def test_the_waits_between_failures_grow_to_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BACK_OFF_S", 0.1)
    monkeypatch.setattr(streams, "LONGEST_BACK_OFF_S", 0.4)
    failed_at: list[float] = []

    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        nobody = replace(at(server), port=free_port())
        loop = asyncio.get_running_loop()
        transport.on_failure = lambda target, branch, why: failed_at.append(loop.time())
        for number in range(6):
            transport.send(nobody, request(f"a{number}"))
            await until(lambda number=number: len(failed_at) == number + 1)

    run(body)
    # From one failure to the next it waits at least half of 0.1, 0.2, 0.4, 0.4 and 0.4 s.
    waits = [later - earlier for earlier, later in pairwise(failed_at)]
    least = [0.05, 0.1, 0.2, 0.2, 0.2]
    assert all(wait >= low for wait, low in zip(waits, least, strict=True)), waits
    assert max(waits) < 30.0


def test_a_lost_connection_fails_what_was_unanswered_on_it_and_nothing_else() -> None:
    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        transport.send(at(server), request("answered"))
        await until(lambda: ears.messages)
        server.answers = False
        transport.send(at(server), request("lost"))
        await until(lambda: len(server.heard) == 2)
        server.writers[0].transport.abort()
        await until(lambda: ears.failures)
        server.answers = True
        assert transport.send(at(server), request("next")) is None
        await until(lambda: len(ears.messages) == 2)

    server, ears = run(body)
    assert [branch for branch, _ in ears.failures] == ["z9hG4bKlost"]
    assert len(server.writers) == 2


def test_a_connection_that_the_server_closed_in_peace_is_opened_anew() -> None:
    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        for name in ("a", "b"):
            transport.send(at(server), request(name))
            await until(lambda name=name: any(name.encode() in m for m in ears.messages))
            server.writers[-1].close()
            await asyncio.sleep(0.05)

    server, ears = run(body)
    assert len(server.writers) == 2
    assert ears.failures == []


def test_a_request_on_the_connection_is_answered_on_it() -> None:
    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        transport.send(at(server), request("a"))
        await until(lambda: ears.messages)
        server.writers[0].write(request("in").replace(b"OPTIONS", b"NOTIFY") + PING)
        await until(lambda: len(server.heard) == 3)

    server, _ = run(body)
    assert server.heard[1].startswith(b"SIP/2.0 200 OK\r\nCSeq: 1 NOTIFY")
    assert server.heard[2] == PONG


def test_what_is_not_sip_ends_the_connection_and_says_so() -> None:
    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        server.answers = False
        transport.send(at(server), request("a"))
        await until(lambda: server.heard)
        server.writers[0].write(b"SIP/2.0 200 OK\r\nContent-Length: many\r\n\r\n")
        await until(lambda: ears.failures)

    _, ears = run(body)
    assert "not SIP" in ears.failures[0][1]


def test_a_server_that_asks_without_end_and_reads_nothing_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "MOST_UNSENT", 100_000)
    over: list[bool] = []

    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        server.answers = False
        transport.send(at(server), request("a"))
        await until(lambda: server.heard)
        [writer] = server.writers
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        asking = request("in").replace(b"OPTIONS", b"NOTIFY") * 100
        for _ in range(2000):
            writer.write(asking)
            try:
                await asyncio.wait_for(writer.drain(), 30)
            except ConnectionError:
                break
            if ears.failures:
                break
        over.append(bool(ears.failures))

    _, ears = run(body)
    assert over == [True]
    assert "reads no answers" in ears.failures[0][1]


@pytest.mark.parametrize("cut", [7, 100_000])
def test_no_stream_of_a_server_does_more_than_end_its_connection(cut: int) -> None:
    faults: list[dict[str, Any]] = []

    async def body(_: StreamTransport, server: Server, ears: Ears) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, what: faults.append(what))
        server.answers = server.pongs = False
        for number, data in enumerate(MESSAGES, 1):
            transport = StreamTransport(loop, ears.message, ears.failure)
            transport.send(at(server), request("a"))
            await until(lambda number=number: len(server.writers) == number)
            writer = server.writers[-1]
            for start in range(0, min(len(data), 500 * cut), cut):
                writer.write(data[start : start + cut])
            writer.close()
            await until(lambda number=number: len(ears.failures) == number)
            transport.close()

    run(body)
    assert faults == []


def test_n6_a_server_that_answers_keep_alives_is_gone_when_it_stops() -> None:
    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        transport.send(at(server), request("a"))
        await until(lambda: server.heard.count(PING) >= 2)
        assert not ears.failures
        server.pongs = server.answers = False
        transport.send(at(server), request("b"))
        await until(lambda: ears.failures)

    server, ears = run(body, keep_alive_s=0.2, pong_s=0.1)
    assert ears.failures == [("z9hG4bKb", "it did not answer a keep-alive within 0.1 s")]
    assert len(server.writers) == 1


def test_n6_a_server_that_never_answered_one_is_not_judged_by_it() -> None:
    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        server.pongs = False
        transport.send(at(server), request("a"))
        await until(lambda: server.heard.count(PING) >= 3)

    server, ears = run(body, keep_alive_s=0.2, pong_s=0.1)
    assert len(server.writers) == 1
    assert ears.failures == []


def test_a_name_is_no_target() -> None:
    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        target = Target(1, "pbx.example", 5060, "tcp")
        with pytest.raises(OSError, match="not an IP address"):
            transport.local(target)
        assert transport.send(target, request("a")) is not None

    run(body)


def test_ipv6_has_streams_too() -> None:
    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        six = Server()
        await six.start(host="::1")
        transport.send(Target(1, "::1", six.port, "tcp"), request("six"))
        await until(lambda: ears.messages)
        await six.stop()

    run(body)


# -- TLS -----------------------------------------------------------------------------------------

TRUSTED = Authority()
STRANGER = Authority("Somebody else")


def server_side(issued: Issued, home: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*issued.written(home))
    return context


def over_tls(issued: Issued, home: Path, **facts: str) -> Ears:
    """Send one request to a server with that certificate; what came of it."""

    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        target = replace(at(server, "tls"), **({"tls_ca": TRUSTED.certificate} | facts))
        assert transport.send(target, request("a")) is None
        await until(lambda: ears.messages or ears.failures)

    server, ears = run(body, tls=server_side(issued, home))
    # Whoever did not prove itself has heard nothing of ours.
    assert bool(server.heard) == bool(ears.messages)
    return ears


@pytest.mark.parametrize(
    ("names", "tls_name"),
    [
        (("pbx.example",), "pbx.example"),
        (("other.example", "sip:pbx.example"), "pbx.example"),
        ((HOST,), ""),
    ],
)
def test_a_certificate_for_the_configured_name_or_address_is_taken(
    names: tuple[str, ...], tls_name: str, tmp_path: Path
) -> None:
    ears = over_tls(TRUSTED.issue(*names), tmp_path, tls_name=tls_name)
    assert ears.failures == []
    assert len(ears.messages) == 1


@pytest.mark.parametrize(
    ("issued", "why"),
    [
        (
            TRUSTED.issue("other.example"),
            "its certificate is for other.example, not for pbx.example",
        ),
        (TRUSTED.issue("*.example"), "its certificate is for *.example, not for pbx.example"),
        (TRUSTED.issue("pbx.example", days=(-9, -2)), "its certificate has expired"),
        (TRUSTED.issue("pbx.example", days=(2, 9)), "its certificate is not valid yet"),
        (
            STRANGER.issue("pbx.example"),
            "its certificate comes from an authority that is not known here",
        ),
        (
            TRUSTED.issue("pbx.example", by_itself=True),
            "its certificate is signed by itself, by no known authority",
        ),
    ],
)
def test_a_handshake_failure_says_which_check_failed(
    issued: Issued, why: str, tmp_path: Path
) -> None:
    ears = over_tls(issued, tmp_path, tls_name="pbx.example")
    assert ears.failures == [("z9hG4bKa", why)]


def test_without_a_pinned_authority_the_systems_are_asked(tmp_path: Path) -> None:
    ears = over_tls(TRUSTED.issue("pbx.example"), tmp_path, tls_name="pbx.example", tls_ca="")
    assert "authority that is not known" in ears.failures[0][1]


def test_a_pinned_certificate_stands_for_itself(tmp_path: Path) -> None:
    issued = STRANGER.issue("other.example", days=(-9, -2), by_itself=True)
    ears = over_tls(issued, tmp_path, tls_certificate=issued.certificate)
    assert ears.failures == []


def test_another_certificate_than_the_pinned_one_is_refused_though_its_chain_is_good(
    tmp_path: Path,
) -> None:
    pinned = TRUSTED.issue("pbx.example").certificate
    issued = TRUSTED.issue("pbx.example")
    ears = over_tls(issued, tmp_path, tls_name="pbx.example", tls_certificate=pinned)
    assert ears.failures == [("z9hG4bKa", "its certificate is not the one pinned for its group")]


def test_a_server_that_speaks_no_tls_is_told_apart() -> None:
    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        assert transport.send(at(server, "tls"), request("a")) is None
        await until(lambda: server.writers)
        server.writers[0].write(b"SIP/2.0 400 What\r\n\r\n")
        await until(lambda: ears.failures)

    _, ears = run(body)
    assert ears.failures == [("z9hG4bKa", "it does not speak TLS there")]


def test_groups_that_trust_differently_share_no_connection(tmp_path: Path) -> None:
    issued = TRUSTED.issue(HOST)

    async def body(transport: StreamTransport, server: Server, ears: Ears) -> None:
        good = replace(at(server, "tls"), tls_ca=TRUSTED.certificate)
        transport.send(replace(good, tls_ca=STRANGER.certificate), request("bad"))
        transport.send(good, request("good"))
        await until(lambda: ears.messages and ears.failures)

    _, ears = run(body, tls=server_side(issued, tmp_path))
    assert [branch for branch, _ in ears.failures] == ["z9hG4bKbad"]
    assert b"z9hG4bKgood" in ears.messages[0]
