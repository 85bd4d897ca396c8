"""The registrar on a real socket, and the command that runs it."""

import asyncio
import signal
import socket
import sys
from pathlib import Path

import pytest

from registrations.registrar.server import Server
from tests.support.processes import Child, free_port, wait_for_exit
from tests.support.product import ROOT, clean_environment
from tests.support.waiting import wait_until

OPTIONS = (
    b"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKa;rport\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def ask(address: tuple[str, int], number: int = 0) -> bytes | None:
    """One OPTIONS; None where nothing listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(30)
        asker.connect(address)
        asker.send(OPTIONS % number)
        try:
            return asker.recv(4096)
        except ConnectionRefusedError:
            return None


@pytest.mark.asyncio
async def test_stopped_it_refuses_and_started_again_it_has_forgotten() -> None:
    server = Server("127.0.0.1", 0, "r", lambda user, aor: None)
    await server.start()
    place = ("127.0.0.1", server.port)
    answer = await asyncio.to_thread(ask, place)
    assert answer and answer.startswith(b"SIP/2.0 200 OK\r\n")
    server.registrar.authentication.challenge(0.0, stale=False)

    server.stop()
    await asyncio.sleep(0)
    assert await asyncio.to_thread(ask, place) is None
    assert not server.is_running

    await server.start()
    assert ("127.0.0.1", server.port) == place
    assert await asyncio.to_thread(ask, place), "the same address answers again"
    server.stop()


@pytest.mark.asyncio
async def test_a_taken_address_is_an_os_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        server = Server("127.0.0.1", taken.getsockname()[1], "r", lambda user, aor: None)
        with pytest.raises(OSError, match="in use"):
            await server.start()


def test_the_command_listens_where_it_is_told_and_stops_on_sigterm(tmp_path: Path) -> None:
    port = free_port()
    child = Child(
        "registrar",
        [sys.executable, "manage.py", "registrar", "--listen", f"127.0.0.1:{port}"]
        + ["--user", "4101:secret"],
        tmp_path / "registrar.log",
        env={**clean_environment(), "DATA_DIR": str(tmp_path / "data")},
        cwd=ROOT,
    )
    try:
        wait_until(lambda: ask(("127.0.0.1", port)), 30, "it answers", seen=child.tail)
        child.interrupt(signal.SIGTERM)
        assert wait_for_exit(child, 30) == 0, child.tail()
    finally:
        child.kill()
