"""The answerer behind our Contacts, over UDP and TCP."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from registrations.runtime import answerer
from registrations.sip.stream import PING, PONG
from tests.support.processes import free_port

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
            for _ in range(100):
                await asyncio.sleep(0.01)
                try:
                    _, writer = await asyncio.open_connection(HOST, port)
                except OSError:
                    continue
                writer.close()
                break
            await asyncio.wait_for(body(port), 10)
        finally:
            stop.set()
            await asyncio.wait_for(task, 5)

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
            for _ in range(500):
                if any("over TCP" in record.getMessage() for record in caplog.records):
                    break
                await asyncio.sleep(0.01)
            else:
                raise AssertionError("nothing was said of the port")
            asking.connect((HOST, port))
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(asking, OPTIONS)
            answer = await asyncio.wait_for(loop.sock_recv(asking, 4096), 5)
            assert answer.startswith(b"SIP/2.0 200 OK")
            stop.set()
            await asyncio.wait_for(task, 5)

    asyncio.run(asyncio.wait_for(run(), 20))
