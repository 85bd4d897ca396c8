"""A UDP peer under the test's hand: hears everything, answers what the test says.

Its times are the kernel's, taken when a datagram arrives: on loopback, when it was sent. A test
that counts requests in a second does not count how busy the machine was.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from registrations.sip import message

SO_TIMESTAMPNS = 35
"""Linux's number; the socket module does not name it."""


def accept(request: message.Request, status: str = "200 OK", expires: int = 60) -> bytes:
    """The answer of a registrar that takes every binding."""
    lines = [f"SIP/2.0 {status}"]
    for name in ("via", "from", "to", "call-id", "cseq"):
        lines += [f"{name}: {value}" for value in request.headers[name]]
    if request.method == "REGISTER" and status.startswith("200"):
        contacts = request.headers.get("contact", [])
        lines += [f"Contact: {value};expires={expires}" for value in contacts]
    return ("\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n").encode()


class Peer:
    """Listens on an address of its own until closed. `answer` None: it is silent."""

    def __init__(self, address: str, answer: Callable[[message.Request], bytes | None] | None):
        self.answer = answer
        self.heard: list[tuple[float, message.Request]] = []
        self.answers: list[message.Response] = []
        self.last_source: tuple[str, int] | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind((address, 0))
        self._socket.settimeout(0.05)
        self.address: tuple[str, int] = self._socket.getsockname()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def send(self, data: bytes) -> None:
        """Send to whoever was heard last."""
        assert self.last_source is not None
        self._socket.sendto(data, self.last_source)

    def registers(self) -> list[tuple[float, message.Request]]:
        """Return the new REGISTERs: a retransmission has the branch of its request."""
        first: dict[str, tuple[float, message.Request]] = {}
        for at, request in self.heard:
            if request.method == "REGISTER":
                first.setdefault(request.headers["via"][0], (at, request))
        return list(first.values())

    def close(self) -> None:
        self._is_closed.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._is_closed.is_set():
            try:
                data, notes, _flags, source = self._socket.recvmsg(65535, 256)
            except TimeoutError:
                continue
            said = message.parse(data)
            self.last_source = source
            if isinstance(said, message.Response):
                self.answers.append(said)
                continue
            self.heard.append((_arrived_at(notes), said))
            answer = self.answer
            reply = answer(said) if answer is not None else None
            if reply is not None:
                self._socket.sendto(reply, source)


def _arrived_at(notes: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack_from("qq", data)
            return float(seconds) + nanoseconds / 1e9
    return time.time()


@contextmanager
def peer(
    address: str = "127.0.0.64", answer: Callable[[message.Request], bytes | None] | None = accept
) -> Iterator[Peer]:
    made = Peer(address, answer)
    try:
        yield made
    finally:
        made.close()
