"""The network between the product and one registrar, under the test's hand: a UDP relay.

It needs no rights and no firewall: a partition is a relay that passes nothing on.
"""

import heapq
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from tests.support.processes import free_port

Replies = Sequence[tuple[float, bytes]]
"""What reaches the product instead of one reply: bytes, each after so many seconds."""

Mangle = Callable[[bytes], Replies]
LONGEST_WAIT_S = 0.2


class Relay:
    """Listens at an address of its own for `registrar`; each who sends has a socket towards it."""

    def __init__(self, address: str, registrar: tuple[str, int]) -> None:
        self.address, self.port = address, free_port(address)
        self.is_cut = False
        """Nothing passes, in neither direction."""
        self.mangle: Mangle | None = None
        """What becomes of a registrar's reply on its way back; None: it passes."""
        self.passed = 0
        self._registrar = registrar
        self._selector = selectors.DefaultSelector()
        self._front = self._listening(address, self.port)
        self._backs: dict[tuple[str, int], socket.socket] = {}
        self._late: list[tuple[float, int, tuple[str, int], bytes]] = []
        self._order = count()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"relay-{address}", daemon=True)
        self._thread.start()

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"

    def close(self) -> None:
        self._over.set()
        self._thread.join(10)
        for open_socket in [self._front, *self._backs.values()]:
            open_socket.close()
        self._selector.close()

    def _listening(self, address: str, port: int) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        made.bind((address, port))
        made.setblocking(False)
        self._selector.register(made, selectors.EVENT_READ)
        return made

    def _run(self) -> None:
        while not self._over.is_set():
            due_in = self._late[0][0] - time.monotonic() if self._late else LONGEST_WAIT_S
            for key, _ in self._selector.select(max(0.0, min(due_in, LONGEST_WAIT_S))):
                assert isinstance(key.fileobj, socket.socket)
                self._take(key.fileobj, key.data)
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, sender, data = heapq.heappop(self._late)
                self._pass(self._front, data, sender)

    def _take(self, end: socket.socket, sender: tuple[str, int] | None) -> None:
        try:
            data, source = end.recvfrom(65535)
        except OSError:
            # A registrar that is down: the error belongs to nobody here.
            return
        if self.is_cut:
            return
        if sender is None:
            self._pass(self._back_of(source), data, self._registrar)
            return
        for delay, reply in self.mangle(data) if self.mangle else [(0.0, data)]:
            at = time.monotonic() + delay
            heapq.heappush(self._late, (at, next(self._order), sender, reply))

    def _pass(self, end: socket.socket, data: bytes, to: tuple[str, int]) -> None:
        try:
            end.sendto(data, to)
            self.passed += 1
        except OSError:
            return

    def _back_of(self, source: tuple[str, int]) -> socket.socket:
        if source not in self._backs:
            made = self._listening(self._registrar[0], 0)
            self._selector.modify(made, selectors.EVENT_READ, data=source)
            self._backs[source] = made
        return self._backs[source]


@contextmanager
def relay(address: str, registrar: tuple[str, int]) -> Iterator[Relay]:
    made = Relay(address, registrar)
    try:
        yield made
    finally:
        made.close()


def twice(reply: bytes) -> Replies:
    return [(0.0, reply), (0.0, reply), (0.3, reply)]


def late_by(seconds: float) -> Mangle:
    return lambda reply: [(seconds, reply)]


def garbage(reply: bytes) -> Replies:
    """Bytes that are no SIP, SIP that stops in the middle, headers without sense; no answer."""
    headers = reply.replace(b"\r\nCSeq: ", b"\r\nCSeq: -").replace(b"\r\nCall-ID:", b"\r\nCall-ID")
    broken = [bytes(range(256)), b"", reply[: len(reply) // 3], headers, reply.replace(b":", b"\0")]
    return [(0.0, each) for each in broken]


class Crossed:
    """Every request is answered as if it were the one before it, another handset's."""

    def __init__(self) -> None:
        self._before: dict[bytes, bytes] = {}

    def __call__(self, reply: bytes) -> Replies:
        theirs = {name: _line(reply, name) for name in (b"Call-ID", b"To", b"From", b"CSeq")}
        before, self._before = self._before, theirs
        crossed = reply
        for name, line in theirs.items():
            crossed = crossed.replace(line, before.get(name, b"Call-ID: nobody's"))
        return [(0.0, crossed)]


def _line(message: bytes, name: bytes) -> bytes:
    start = message.index(b"\r\n" + name + b":") + 2
    return message[start : message.index(b"\r\n", start)]
