"""What is said to requests that reach us: on the workers' own sockets and at SIP_CONTACT."""

import asyncio
import hashlib
import logging
import socket
from typing import cast

from django.conf import settings

from registrations.sip import answering, message
from registrations.sip.errors import SipParseError

logger = logging.getLogger(__name__)


class Answerer:
    """Stateless: the same To tag for the same call from every process and after every restart."""

    def __init__(self) -> None:
        self._secret = hashlib.sha256(b"sip to tag\0" + settings.SECRET_KEY.encode()).digest()

    def answer(self, data: bytes, source: tuple[str, int]) -> bytes | None:
        """Return the answer to a datagram from `source`; None where none is due."""
        try:
            request = message.parse(data)
        except SipParseError:
            return None
        if not isinstance(request, message.Request):
            return None
        return answering.answer(request, source, secret=self._secret)


class AnswererProtocol(asyncio.DatagramProtocol):
    """The answerer on a socket of its own."""

    def __init__(self) -> None:
        self._answerer = Answerer()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: asyncio's own UDP transport does not derive from it.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        answer = self._answerer.answer(data, source[:2])
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, source)

    def error_received(self, error: Exception) -> None:
        logger.info("an answer did not arrive: %s", error)


async def serve(host: str, port: int, stop: asyncio.Event) -> None:
    """Answer at that address until `stop` is set. Raises OSError where it cannot be bound."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    transport, _ = await loop.create_datagram_endpoint(
        AnswererProtocol, local_addr=(host, port), family=family
    )
    try:
        await stop.wait()
    finally:
        transport.close()
