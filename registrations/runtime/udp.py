"""UDP towards registrars: one connected socket per process and target.

Connected, because only a connected socket hears of ICMP errors and because it drops strangers.
The kernel's error queue (ip(7), IP_RECVERR) returns the datagram an error is about, so that one
handset's failed request is told from another's.

The loop must be asyncio's own: uvloop closes its poll handle at the first EPOLLERR, after which
the socket is deaf; and readers with a drain loop are as fast here as anything uvloop has.
"""

import asyncio
import errno
import ipaddress
import logging
import os
import socket
import struct
from collections.abc import Callable

from registrations.runtime.clock import steady
from registrations.sip.message import branch_of_request
from registrations.values import Target

logger = logging.getLogger(__name__)

RECEIVE_AT_ONCE = 128
"""Datagrams read per wake-up, so that one busy server does not keep the others waiting."""
SENT_AT_ONCE = 32
"""Requests that answers bring about leave so many together: a registrar that must be woken for each
costs the sender as much as the sending."""
GATHERED_S = 0.005
"""And no later than this, however much there is to read: a permit is for a moment."""
BUFFER_BYTES = 4 * 1024 * 1024
LONGEST_DATAGRAM = 65_535

_IP_RECVERR = 11
_IPV6_RECVERR = 25
_ERROR = struct.Struct("=IBBBBII")
"""struct sock_extended_err (ip(7)): errno, origin, type, code, pad, info, data."""
_ORIGIN_LOCAL, _ORIGIN_ICMP, _ORIGIN_ICMP6 = 1, 2, 3
_LASTING = {errno.ENETDOWN, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EINVAL, errno.EBADF}
"""Send errors after which the socket is made anew: its source address may be gone."""

Failed = Callable[[Target, str | None, str], None]
Received = Callable[[bytes, tuple[str, int], Callable[[bytes], None]], None]


class UdpTransport:
    """All UDP sockets of the process.

    `on_datagram(data, source, reply)` is called for every datagram; `on_failure(target, branch,
    why)` when the network reports that a request did not arrive; branch None: any to that target.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_datagram: Received, on_failure: Failed
    ) -> None:
        self._loop = loop
        self._on_datagram = on_datagram
        self._on_failure = on_failure
        self._sockets: dict[tuple[str, int], _Socket] = {}

    def local(self, target: Target) -> tuple[str, int]:
        """Return our address towards that target. Raises OSError where there is no way to it."""
        return self._socket(target).local

    def send(self, target: Target, data: bytes) -> str | None:
        """Send one datagram; return why it could not leave, None if it did (or may have)."""
        known = self._sockets.get((target.address, target.port))
        if known is not None and known.is_broken:
            self._close((target.address, target.port))
            known = None
        try:
            (known or self._socket(target)).send(data)
        except OSError as error:
            if error.errno in _LASTING:
                self._close((target.address, target.port))
            return error.strerror or type(error).__name__
        return None

    def is_behind(self) -> bool:
        """Whether datagrams have come that nobody has read yet."""
        return any(each.is_behind for each in self._sockets.values())

    def close(self) -> None:
        for key in list(self._sockets):
            self._close(key)

    def _socket(self, target: Target) -> "_Socket":
        key = (target.address, target.port)
        found = self._sockets.get(key)
        if found is None:
            found = _Socket(self._loop, target, self._on_datagram, self._on_failure)
            self._sockets[key] = found
        return found

    def _close(self, key: tuple[str, int]) -> None:
        closing = self._sockets.pop(key, None)
        if closing is not None:
            closing.close()


class _Socket:
    """One connected socket, its reader and its error queue."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        target: Target,
        on_datagram: Received,
        on_failure: Failed,
    ) -> None:
        self._loop = loop
        self._target = target
        self._source = (target.address, target.port)
        self._on_datagram = on_datagram
        self._on_failure = on_failure
        self._socket = _connected(target)
        self._is_draining = False
        self._gathered: list[bytes] = []
        """What is to leave as soon as enough has gathered, or all that has come is read."""
        self._gathered_at = 0.0
        """Since when the first of it waits (`steady` seconds)."""
        self.is_behind = False
        """More had come than was read at once."""
        self.is_broken = False
        """Nothing leaves by it any more: it must be made anew."""
        self.local: tuple[str, int] = self._socket.getsockname()[:2]
        loop.add_reader(self._socket.fileno(), self._drain)

    def send(self, data: bytes) -> None:
        """Raises OSError, for what leaves at once; why anything else cannot is told as a failure.

        A full buffer counts as a lost datagram: retransmission heals it.
        """
        if not self._is_draining:
            self._send(data)
            return
        if not self._gathered:
            self._gathered_at = steady()
        self._gathered.append(data)
        if len(self._gathered) >= SENT_AT_ONCE:
            self._send_gathered()

    def _send_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        for data in gathered:
            try:
                self._send(data)
            except OSError as error:
                self.is_broken = self.is_broken or error.errno in _LASTING
                why = error.strerror or type(error).__name__
                # Whoever wants to send this moment may be the one who is to be told.
                branch = branch_of_request(data)
                self._loop.call_soon(self._on_failure, self._target, branch, why)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except BlockingIOError:
            logger.debug("send buffer towards %s is full", self._target)
        except OSError as error:
            if error.errno in _LASTING:
                raise
            # The error of an earlier datagram was waiting; this one has not been tried yet.
            self._loop.call_soon(self._drain_errors)
            try:
                self._socket.send(data)
            except BlockingIOError:
                return

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._gathered.clear()

    def _drain(self) -> None:
        self._is_draining = True
        try:
            self._read()
        finally:
            self._is_draining = False
        self._send_gathered()

    def _read(self) -> None:
        for _ in range(RECEIVE_AT_ONCE):
            try:
                data = self._socket.recv(LONGEST_DATAGRAM)
            except BlockingIOError:
                self.is_behind = False
                break
            except OSError as error:
                if error.errno == errno.EBADF:
                    return
                if not self._drain_errors():
                    self._on_failure(self._target, None, error.strerror or "Not reachable")
                continue
            self._on_datagram(data, self._source, self._reply)
            if self._gathered and steady() - self._gathered_at > GATHERED_S:
                self._send_gathered()
        else:
            self.is_behind = True
        self._drain_errors()

    def _reply(self, data: bytes) -> None:
        try:
            self._send(data)
        except OSError as error:
            logger.info("an answer to %s could not leave: %s", self._target, error)

    def _drain_errors(self) -> int:
        """Report what the error queue holds; return how many entries it had."""
        entries = 0
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(
                    LONGEST_DATAGRAM, 512, socket.MSG_ERRQUEUE
                )
            except OSError:
                return entries
            entries += 1
            for _, kind, raw in ancillary:
                if kind in (_IP_RECVERR, _IPV6_RECVERR) and len(raw) >= _ERROR.size:
                    self._report(data, *_ERROR.unpack_from(raw)[:4])

    def _report(self, data: bytes, number: int, origin: int, kind: int, code: int) -> None:
        if is_signalling_failure(origin, kind, code):
            self._on_failure(self._target, branch_of_request(data), os.strerror(number))


def is_signalling_failure(origin: int, kind: int, code: int) -> bool:
    """Whether an ICMP error means failure: RFC 3261 section 18.4.

    Host, net, port and protocol unreachable and parameter problem do; source quench, TTL exceeded
    and "fragmentation needed" do not.
    """
    if origin == _ORIGIN_LOCAL:
        return True
    if origin == _ORIGIN_ICMP:
        return (kind == 3 and code != 4) or kind == 12
    if origin == _ORIGIN_ICMP6:
        return kind in (1, 4)
    return False


def _connected(target: Target) -> socket.socket:
    """Raises OSError, also for a name: names are resolved before they become targets."""
    try:
        version = ipaddress.ip_address(target.address).version
    except ValueError:
        raise OSError(errno.EADDRNOTAVAIL, f"{target.address} is not an IP address") from None
    made = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            made.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        if version == 4:
            made.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        else:
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        made.connect((target.address, target.port))
    except OSError:
        made.close()
        raise
    return made
