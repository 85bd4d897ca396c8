"""TCP and TLS towards registrars: one connection per process and target, shared by its agents.

A connection is opened by whoever first needs it and opened anew, after a back-off, when it is
needed again. Its loss fails exactly the requests that were unanswered on it.
"""

import asyncio
import errno
import ipaddress
import logging
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from registrations.runtime import tls
from registrations.runtime.udp import Failed, Received
from registrations.sip.errors import SipParseError
from registrations.sip.message import branch_of, branch_of_request
from registrations.sip.stream import PING, PONG, Framer
from registrations.sip.transaction import first_wire
from registrations.values import Target

logger = logging.getLogger(__name__)

CONNECT_S = 3.0
"""A lost SYN goes out a second time within it; TCPpreferred then still has time for UDP."""
HANDSHAKE_S = 5.0
UNACKNOWLEDGED_MS = 20_000
"""A peer whose machine acknowledges nothing for so long is gone (TCP_USER_TIMEOUT, tcp(7))."""
BACK_OFF_S, LONGEST_BACK_OFF_S = 0.5, 2.0
"""Requests wait it out instead of failing by what an earlier one met: a server that has just come
back must not be called gone. One process sends a dead server one SYN at a time, and few."""
HEALTHY_S = 5.0
"""A connection that ended sooner, without a word, counts as one that failed."""
KEEP_ALIVE_S = 120.0
"""RFC 5626 section 4.4.1: between 80 and 100 % of this after the last."""
PONG_S = 10.0
IDLE_S = 7200.0
"""A connection that nobody used for so long is closed: its server may be configured no more."""
FORGOTTEN_S = 64.0
"""No transaction lasts longer: its request needs no failure any more."""
MOST_UNSENT = 4 * 1024 * 1024

Key = tuple[str, str, int, str, str, str]


@dataclass(slots=True)
class _Setback:
    """Connections that failed in a row."""

    times: int
    until: float
    """No other attempt before, by the loop's clock."""


class StreamTransport:
    """All connections of the process; the arguments are those of `Transport`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_message: Received,
        on_failure: Failed,
        *,
        keep_alive_s: float = KEEP_ALIVE_S,
        pong_s: float = PONG_S,
    ) -> None:
        self.loop = loop
        self.on_message = on_message
        self.on_failure = on_failure
        self.keep_alive_s = keep_alive_s
        self.pong_s = pong_s
        self.pongers: set[Key] = set()
        """Who ever answered a keep-alive, and so can be judged by one."""
        self._open: dict[Key, _Connection] = {}
        self._setbacks: dict[Key, _Setback] = {}

    def local(self, target: Target) -> tuple[str, int]:
        """Return our address on that connection. Raises OSError where there is no way to it."""
        return self._connection(target).local

    def send(self, target: Target, data: bytes) -> str | None:
        """Send or queue one message; return why it cannot leave, None otherwise."""
        try:
            return self._connection(target).send(data)
        except OSError as error:
            return tls.reason(error)

    def close(self) -> None:
        for connection in list(self._open.values()):
            connection.close()
        self._open.clear()

    def ended(self, connection: "_Connection", why: str, unanswered: list[str]) -> None:
        """A connection is over: fail what it left unanswered, remember whether it ever worked."""
        key = connection.key
        if self._open.get(key) is connection:
            del self._open[key]
        if connection.was_healthy:
            self._setbacks.pop(key, None)
        else:
            before = self._setbacks.get(key)
            times = before.times + 1 if before else 1
            wait = min(LONGEST_BACK_OFF_S, BACK_OFF_S * 2 ** min(times - 1, 10))
            until = self.loop.time() + wait * random.uniform(0.5, 1.0)  # noqa: S311
            self._setbacks[key] = _Setback(times, until)
        for branch in unanswered:
            self.on_failure(connection.target, branch, why)

    def worked(self, connection: "_Connection") -> None:
        self._setbacks.pop(connection.key, None)

    def _connection(self, target: Target) -> "_Connection":
        key = _key(target)
        found = self._open.get(key)
        if found is None:
            setback = self._setbacks.get(key)
            wait = max(0.0, setback.until - self.loop.time()) if setback else 0.0
            found = self._open[key] = _Connection(self, key, first_wire(target), wait)
        return found


class _Connection(asyncio.Protocol):
    """One connection, from `wait` seconds before its SYN to its end.

    Raises OSError where there is no way to the target.
    """

    def __init__(self, owner: StreamTransport, key: Key, target: Target, wait: float) -> None:
        self.key = key
        self.target = target
        self.was_healthy = False
        self._owner = owner
        self._loop = owner.loop
        self._source = (target.address, target.port)
        self._framer = Framer()
        self._waiting: list[bytes] = []
        self._unanswered: dict[str, float] = {}
        """When each request was sent, by branch, in order."""
        self._transport: asyncio.Transport | None = None
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._pinged_at = self._heard_at = 0.0
        self._used_at = self._loop.time()
        self._socket = _bound(target)
        self.local: tuple[str, int] = self._socket.getsockname()[:2]
        self._opening = self._loop.create_task(self._connect(wait))

    def send(self, data: bytes) -> str | None:
        """Send, or queue until it is open; return why neither is possible."""
        transport = self._transport
        unsent = (
            sum(map(len, self._waiting)) if transport is None else transport.get_write_buffer_size()
        )
        if unsent > MOST_UNSENT:
            return "its connection takes nothing more"
        self._used_at = self._loop.time()
        branch = branch_of_request(data)
        if branch is not None:
            self._unanswered[branch] = self._used_at
        if transport is None:
            self._waiting.append(data)
        else:
            transport.write(data)
        return None

    def close(self) -> None:
        """Close it for good; nobody is told."""
        self._is_over = True
        self._opening.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._socket.close()

    # -- what asyncio calls ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        if self._is_over:
            transport.abort()
            return
        peer = transport.get_extra_info("ssl_object")
        why = tls.mistrust(self.target, peer) if peer is not None else None
        if why is not None:
            transport.abort()
            self._end(why)
            return
        self._transport = transport
        waiting, self._waiting = self._waiting, []
        transport.write(b"".join(waiting))
        self._made_at = self._loop.time()
        self._arm(self._owner.keep_alive_s * random.uniform(0.8, 1.0), self._ping)  # noqa: S311

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        try:
            found = self._framer.feed(data)
        except SipParseError as error:
            self._end(f"it sent something that is not SIP: {error}")
            return
        if found and not self.was_healthy:
            self.was_healthy = True
            self._owner.worked(self)
        for one in found:
            if self._is_over:
                return
            self._take(one)

    def eof_received(self) -> None:
        """Over at once, so that the next request opens another connection."""
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.was_healthy |= self._transport is not None and (
            self._loop.time() - self._made_at > HEALTHY_S
        )
        if isinstance(exc, OSError):
            self._end(tls.reason(exc))
        else:
            self._end("it closed the connection")

    # -- inside ----------------------------------------------------------------------------

    async def _connect(self, wait: float) -> None:
        target, loop = self.target, self._loop
        await asyncio.sleep(wait)
        try:
            async with asyncio.timeout(CONNECT_S):
                await loop.sock_connect(self._socket, (target.address, target.port))
            if target.transport == "tls":
                await loop.create_connection(
                    lambda: self,
                    sock=self._socket,
                    ssl=tls.context_for(target.tls_ca, target.tls_certificate),
                    server_hostname=tls.name_of(target),
                    ssl_handshake_timeout=HANDSHAKE_S,
                )
            else:
                await loop.create_connection(lambda: self, sock=self._socket)
        except TimeoutError:
            self._end("it did not take the connection")
        except ConnectionAbortedError:
            self._end("the TLS handshake was not finished in time")
        except (OSError, ValueError) as error:
            # ValueError: a name that cannot be put into a handshake.
            self._end(tls.reason(error) if isinstance(error, OSError) else str(error))

    def _take(self, one: bytes) -> None:
        if one == PONG:
            if self._pinged_at:
                self._owner.pongers.add(self.key)
            return
        if one == PING:
            self._reply(PONG)
            return
        branch = branch_of(one)
        if branch is not None and one[8:9] != b"1":
            self._unanswered.pop(branch, None)
        self._owner.on_message(one, self._source, self._reply)

    def _reply(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > MOST_UNSENT:
            self._end("it asks and reads no answers")
        else:
            transport.write(data)

    def _end(self, why: str) -> None:
        if self._is_over:
            return
        logger.info("connection to %s over %s: %s", self.target, self.target.transport, why)
        unanswered, self._unanswered = list(self._unanswered), {}
        self.close()
        self._owner.ended(self, why, unanswered)

    def _arm(self, after: float, action: Callable[[], None]) -> None:
        self._timer = self._loop.call_later(after, action)

    def _ping(self) -> None:
        now = self._loop.time()
        self._forget_the_timed_out(now)
        if now - self._used_at > IDLE_S:
            self._end("it was not needed any more")
            return
        self._pinged_at = now
        self._reply(PING)
        self._arm(self._owner.pong_s, self._judge)

    def _judge(self) -> None:
        """RFC 5626: no answer, no flow. Who never answered one does not know of them."""
        if self.key in self._owner.pongers and self._heard_at < self._pinged_at:
            self._end(f"it did not answer a keep-alive within {self._owner.pong_s:g} s")
            return
        wait = self._owner.keep_alive_s * random.uniform(0.8, 1.0)  # noqa: S311
        self._arm(max(0.0, wait - self._owner.pong_s), self._ping)

    def _forget_the_timed_out(self, now: float) -> None:
        for branch, sent_at in list(self._unanswered.items()):
            if now - sent_at < FORGOTTEN_S:
                break
            del self._unanswered[branch]


def _key(target: Target) -> Key:
    if target.transport != "tls":
        return "tcp", target.address, target.port, "", "", ""
    name = tls.name_of(target)
    return *target.place, name, target.tls_ca, target.tls_certificate


def _bound(target: Target) -> socket.socket:
    """A socket that has its own address and port before it is connected, for Via.

    Raises OSError, also for a name: names are resolved before they become targets.
    """
    try:
        version = ipaddress.ip_address(target.address).version
    except ValueError:
        raise OSError(errno.EADDRNOTAVAIL, f"{target.address} is not an IP address") from None
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as scout:
        scout.connect((target.address, target.port))
        source: str = scout.getsockname()[0]
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        made.bind((source, 0))
    except OSError:
        made.close()
        raise
    return made
