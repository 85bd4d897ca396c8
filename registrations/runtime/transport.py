"""How requests leave this process and what comes back: UDP sockets, TCP and TLS connections."""

import asyncio

from registrations.runtime.streams import StreamTransport
from registrations.runtime.udp import Failed, Received, UdpTransport
from registrations.values import Target


class Transport:
    """All sockets of the process.

    `on_message(data, source, reply)` is called for every datagram and every message of a stream;
    `on_failure(target, branch, why)` when a request did not arrive; branch None: any to that
    target.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_message: Received, on_failure: Failed
    ) -> None:
        self._udp = UdpTransport(loop, on_message, on_failure)
        self._streams = StreamTransport(loop, on_message, on_failure)

    def local(self, target: Target) -> tuple[str, int]:
        """Return our address towards that target. Raises OSError where there is no way to it."""
        return self._over(target).local(target)

    def send(self, target: Target, data: bytes) -> str | None:
        """Send one message; return why it could not leave, None if it did (or may have)."""
        return self._over(target).send(target, data)

    def close(self) -> None:
        """Close every socket; nobody is told of requests that were under way."""
        self._udp.close()
        self._streams.close()

    def _over(self, target: Target) -> UdpTransport | StreamTransport:
        return self._udp if target.transport == "udp" else self._streams
