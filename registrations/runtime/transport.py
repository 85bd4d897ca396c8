"""How requests leave this process and what comes back: UDP sockets, TCP and TLS connections."""

import asyncio
import errno

from fleet import allowed
from registrations.runtime.streams import StreamTransport
from registrations.runtime.udp import Failed, Received, UdpTransport
from registrations.values import Target

MOST_JUDGED = 10_000


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
        self._refused: dict[str, str] = {}
        """Why an address may not be asked ('': it may), of those that were wanted lately."""

    def local(self, target: Target) -> tuple[str, int]:
        """Return our address towards that target. Raises OSError where there is no way to it."""
        return self._over(target).local(target)

    def send(self, target: Target, data: bytes) -> str | None:
        """Send one message; return why it could not leave, None if it did (or may have)."""
        try:
            return self._over(target).send(target, data)
        except OSError as error:
            return error.strerror

    def is_behind(self) -> bool:
        """Whether answers over UDP have come that nobody has read yet."""
        return self._udp.is_behind()

    def close(self) -> None:
        """Close every socket; nobody is told of requests that were under way."""
        self._udp.close()
        self._streams.close()

    def _over(self, target: Target) -> UdpTransport | StreamTransport:
        """Raises OSError for an address that may not be asked, whoever named it: DNS may have."""
        why = self._refused.get(target.address)
        if why is None:
            if len(self._refused) >= MOST_JUDGED:
                self._refused.clear()
            why = self._refused[target.address] = allowed.refusal(target.address)
        if why:
            raise OSError(errno.EACCES, why.removesuffix("."))
        return self._udp if target.transport == "udp" else self._streams
