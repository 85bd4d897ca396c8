"""The answerer behind our Contacts, over UDP and TCP."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from registrations.runtime import answerer
from registrations.sip.stream import PING, PONG
from tests.support.processes import free_port
from tests.support.torture import MESSAGES

HOST = "127.0.0.69"
OPTIONS = (
    b"OPTIONS sip:4101@127.0.0.69 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKx;rport\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def serving(body: Callable[[int], Awaitable[None]]) -> None:
    """Run against the answerer at that port; it must end by itself afterwards."""

    async def run() -> None:
        port, stop = free_port(HOST), asyncio.Event()
        task = asyncio.create_task(answerer.serve(HOST, port, stop))
        try:
            for _ in range(3000):
                await asyncio.sleep(0.01)
                try:
                    _, writer = await asyncio.open_connection(HOST, port)
                except OSError:
                    continue
                writer.close()
                break
            await asyncio.wait_for(body(port), 60)
        finally:
            stop.set()
            await asyncio.wait_for(task, 30)

    asyncio.run(run())


async def is_ended(reader: asyncio.StreamReader) -> bool:
    """Whether the other side ended it, by a reset or in order."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


def test_requests_over_tcp_are_answered_on_their_connection_one_by_one() -> None:
    async def body(port: int) -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(OPTIONS + OPTIONS[:100])
        first = await reader.readuntil(b"\r\n\r\n")
        assert first.startswith(b"SIP/2.0 200 OK\r\n")
        assert b"received=127.0.0.1" in first
        writer.write(OPTIONS[100:] + PING)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200 OK\r\n")
        assert await reader.readexactly(2) == PONG

    serving(body)


def test_what_is_no_sip_over_tcp_ends_the_connection_and_no_other() -> None:
    async def body(port: int) -> None:
        good, other = await asyncio.open_connection(HOST, port)
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"OPTIONS sip:a SIP/2.0\r\nContent-Length: x\r\n\r\n")
        assert await is_ended(reader)
        other.write(OPTIONS)
        assert (await good.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200 OK")

    serving(body)


def test_who_opens_too_many_connections_gets_no_more(monkeypatch: Any) -> None:
    monkeypatch.setattr(answerer, "MOST_CONNECTIONS", 2)

    async def body(port: int) -> None:
        kept = [await asyncio.open_connection(HOST, port) for _ in range(2)]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection(HOST, port)
        assert await is_ended(reader)
        writer.close()
        for _, one in kept:
            one.close()

    serving(body)


def test_one_address_alone_cannot_take_all_connections(monkeypatch: Any) -> None:
    monkeypatch.setattr(answerer, "MOST_FROM_ONE", 2)

    async def body(port: int) -> None:
        kept = [await asyncio.open_connection(HOST, port) for _ in range(2)]
        for reader, writer in kept:
            writer.write(PING)
            assert await reader.readexactly(2) == PONG
        refused, _ = await asyncio.open_connection(HOST, port)
        assert await is_ended(refused)
        elsewhere = ("127.0.0.70", 0)
        reader, writer = await asyncio.open_connection(HOST, port, local_addr=elsewhere)
        writer.write(OPTIONS)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200 OK")

    serving(body)


@pytest.mark.parametrize("part", [OPTIONS[:100], b"\r", b"X: y\r\n" * 1000])
def test_a_message_that_comes_drop_by_drop_is_not_waited_for(monkeypatch: Any, part: bytes) -> None:
    monkeypatch.setattr(answerer, "PART_S", 0.3)

    async def body(port: int) -> None:
        reader, writer = await asyncio.open_connection(HOST, port)

        async def drip() -> None:
            for byte in part * 1000:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await is_ended(reader)
        dripping.cancel()

    serving(body)


@pytest.mark.parametrize("data", MESSAGES)
def test_no_datagram_and_no_stream_stops_it(data: bytes) -> None:
    async def body(port: int) -> None:
        loop = asyncio.get_running_loop()
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(data * 3)
        writer.write_eof()
        with socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)
            asking.connect((HOST, port))
            await loop.sock_sendall(asking, data[:60_000])
            await loop.sock_sendall(asking, b"")
            await loop.sock_sendall(asking, OPTIONS.replace(b"Call-ID: 1", b"Call-ID: last"))
            while b"Call-ID: last" not in await loop.sock_recv(asking, 65_535):
                continue

    serving(body)


def test_a_flood_from_one_address_is_answered_up_to_its_allowance_and_told_once(
    monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(answerer, "ANSWERS_PER_SECOND", 0.001)
    monkeypatch.setattr(answerer, "ANSWERS_AT_ONCE", 5.0)
    one = answerer.Answerer()
    answers = [one.answer(OPTIONS, ("192.0.2.66", port)) for port in range(1000, 1100)]
    assert sum(answer is not None for answer in answers) == 5
    assert one.answer(OPTIONS, ("192.0.2.7", 5060)) is not None
    [told] = caplog.messages
    assert "192.0.2.66" in told


def test_a_registrar_that_pings_a_whole_fleet_is_always_answered() -> None:
    one = answerer.Answerer()
    assert all(one.answer(OPTIONS, ("192.0.2.10", 5060)) for _ in range(1700))


def test_udp_is_answered_at_the_same_port() -> None:
    async def body(port: int) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)
            asking.connect((HOST, port))
            await loop.sock_sendall(asking, OPTIONS)
            assert (await loop.sock_recv(asking, 4096)).startswith(b"SIP/2.0 200 OK")

    serving(body)


def test_a_tcp_port_that_somebody_else_has_leaves_udp_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        stop = asyncio.Event()
        with socket.socket() as taken, socket.socket(type=socket.SOCK_DGRAM) as asking:
            taken.bind((HOST, port := free_port(HOST)))
            taken.listen()
            task = asyncio.create_task(answerer.serve(HOST, port, stop))
            asking.setblocking(False)
            for _ in range(3000):
                if any("over TCP" in record.getMessage() for record in caplog.records):
                    break
                await asyncio.sleep(0.01)
            else:
                raise AssertionError("nothing was said of the port")
            asking.connect((HOST, port))
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(asking, OPTIONS)
            answer = await asyncio.wait_for(loop.sock_recv(asking, 4096), 30)
            assert answer.startswith(b"SIP/2.0 200 OK")
            stop.set()
            await asyncio.wait_for(task, 30)

    asyncio.run(asyncio.wait_for(run(), 90))
