"""Registrars on UDP sockets."""

import asyncio
import logging
import secrets
import socket
import time
from typing import cast

from registrations.registrar.authentication import PasswordOf
from registrations.registrar.registrar import Registrar

logger = logging.getLogger(__name__)

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes; a whole fleet may arrive within one turn of the event loop."""


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, registrar: Registrar) -> None:
        self._registrar = registrar
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: asyncio's own UDP transport does not derive from it.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        answer = self._registrar.answer(data, source, time.time())
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, source)

    def error_received(self, error: Exception) -> None:
        logger.info("an answer did not arrive: %s", error)


class Server:
    """A registrar at one address that can be stopped and started like a real one.

    Stopped, its socket is closed, so that senders hear ICMP's port unreachable, and its table,
    nonces and memory of answers are gone.
    """

    def __init__(self, host: str, port: int, realm: str, password_of: PasswordOf) -> None:
        self.host = host
        self.port = port
        self.registrar = Registrar(
            realm,
            password_of,
            token=lambda: secrets.token_hex(16),
            secret=secrets.token_bytes(32),
        )
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def is_running(self) -> bool:
        return self._transport is not None

    async def start(self) -> None:
        """Bind the socket. Raises OSError where the address is taken or not of this machine."""
        if self._transport is not None:
            return
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Protocol(self.registrar), local_addr=(self.host, self.port)
        )
        opened = transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.port = opened.getsockname()[1]
        self._transport = transport

    def stop(self) -> None:
        """Close the socket and forget."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        self.registrar.forget()
