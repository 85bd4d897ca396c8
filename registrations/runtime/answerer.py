"""What is said to requests that reach us: on the workers' own sockets and at SIP_CONTACT."""

import asyncio
import hashlib
import logging
import socket
import time
from collections import Counter
from typing import cast

from django.conf import settings

from registrations.sip import answering, message
from registrations.sip.allowance import Allowance
from registrations.sip.errors import SipParseError
from registrations.sip.stream import PING, PONG, Framer

logger = logging.getLogger(__name__)

ANSWERS_PER_SECOND, ANSWERS_AT_ONCE = 2000.0, 4000.0
"""Per source address. A registrar that pings 50,000 handsets every 30 s asks 1,700 times a second;
more than this is nobody's honest need, and over UDP the address may be a victim's."""
MOST_SOURCES = 10_000
"""Addresses whose allowance is remembered: about 2 MB."""
TELL_EVERY_S = 60.0

MOST_CONNECTIONS = 1000
MOST_FROM_ONE = 100
"""Connections of one address: nobody alone keeps all others out."""
IDLE_S = 300.0
PART_S = 30.0
"""A message that has begun must be whole within it."""
MOST_UNREAD = 1024 * 1024
"""Bytes of answers that a peer asked for and does not read."""


class Answerer:
    """Stateless: the same To tag for the same call from every process and after every restart."""

    def __init__(self) -> None:
        self._secret = hashlib.sha256(b"sip to tag\0" + settings.SECRET_KEY.encode()).digest()
        self._allowance = Allowance(ANSWERS_PER_SECOND, ANSWERS_AT_ONCE, MOST_SOURCES)
        self._held_back = 0
        self._told_at = -TELL_EVERY_S

    def answer(self, data: bytes, source: tuple[str, int]) -> bytes | None:
        """Return the answer to a datagram from `source`; None where none is due.

        Only a well-formed request has one, and only so many a second from one address.
        """
        try:
            request = message.parse(data)
        except SipParseError:
            return None
        if not isinstance(request, message.Request):
            return None
        answer = answering.answer(request, source, secret=self._secret)
        if answer is None or self._allowance.take(source[0], now := time.monotonic()):
            return answer
        self._held_back += 1
        if now - self._told_at >= TELL_EVERY_S:
            text = "%d requests left unanswered: more than %d a second, the last ones from %s"
            logger.warning(text, self._held_back, ANSWERS_PER_SECOND, source[0])
            self._held_back, self._told_at = 0, now
        return None


class AnswererProtocol(asyncio.DatagramProtocol):
    """The answerer on a socket of its own."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
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


class StreamAnswererProtocol(asyncio.Protocol):
    """The answerer on one TCP connection that somebody opened to it."""

    def __init__(self, answerer: Answerer, open_now: set["StreamAnswererProtocol"]) -> None:
        self._answerer = answerer
        self._framer = Framer()
        self._is_amid = False
        self._open_now = open_now
        self._transport: asyncio.Transport | None = None
        self._source = ("", 0)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._source = (transport.get_extra_info("peername") or ("", 0))[:2]
        self._open_now.add(self)
        from_one = Counter(other.host for other in self._open_now)[self.host]
        if len(self._open_now) > MOST_CONNECTIONS or from_one > MOST_FROM_ONE:
            self.close()
        else:
            self._wait(IDLE_S)

    @property
    def host(self) -> str:
        return self._source[0]

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_now.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.get_write_buffer_size() > MOST_UNREAD:
            self.close()
            return
        try:
            found = self._framer.feed(data)
        except SipParseError as error:
            logger.info("a connection brought something that is not SIP: %s", error)
            self.close()
            return
        amid = len(self._framer) > 0
        if found or not self._is_amid:
            self._wait(PART_S if amid else IDLE_S)
        self._is_amid = amid
        for one in found:
            if one in (PING, PONG):
                answer = PONG if one == PING else None
            else:
                answer = self._answerer.answer(one, self._source)
            if answer is not None:
                self._transport.write(answer)

    def close(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()

    def _wait(self, seconds: float) -> None:
        """A peer that says nothing whole for so long is let go."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.close)


async def serve(host: str, port: int, stop: asyncio.Event) -> None:
    """Answer there, over UDP and TCP, until `stop` is set. Raises OSError if it cannot be bound.

    Somebody else's TCP port is said and borne: most fleets speak UDP.
    """
    loop, answerer = asyncio.get_running_loop(), Answerer()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    transport, _ = await loop.create_datagram_endpoint(
        lambda: AnswererProtocol(answerer), local_addr=(host, port), family=family
    )
    open_now: set[StreamAnswererProtocol] = set()
    try:
        try:
            server = await loop.create_server(
                lambda: StreamAnswererProtocol(answerer, open_now), host, port
            )
        except OSError as error:
            logger.error("no answers over TCP at %s port %d: %s", host, port, error.strerror)
            await stop.wait()
            return
        async with server:
            await stop.wait()
            for connection in list(open_now):
                connection.close()
    finally:
        transport.close()
