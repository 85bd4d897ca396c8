"""Many browsers' sockets in one process: opened, told what to watch, their messages timed.

Run as a process of its own: what it costs to listen is nobody's who is measured. It writes a line
when all have their first message, listens for so many seconds, and writes what came as JSON. One
epoll reads all of them into one buffer, and what one socket was told byte for byte like the last
one is not looked through again: who listens for 1,000 must not be what keeps them waiting.
"""

import json
import re
import select
import socket
import sys
import time
from dataclasses import dataclass, field

AT_ONCE = 25
PATIENCE_S = 180.0
MOST_BYTES = 4_000_000
"""Of what is read in one go, and of one message."""
TEXT, PING, PONG = 1, 9, 10
STAMP = re.compile(rb"stamp=(\d+\.\d+)")
SEQUENCE = re.compile(rb'"seq":(\d+),')
BUFFER = bytearray(MOST_BYTES)
VIEW = memoryview(BUFFER)


@dataclass(slots=True)
class Came:
    """What one process has heard."""

    counts: bool = False
    messages: int = 0
    bytes: int = 0
    missing: int = 0
    """Numbers that a socket never saw."""
    broken: int = 0
    cpu: float = 0.0
    """What hearing it took, in seconds."""
    latencies: list[float] = field(default_factory=list)
    """From the oldest change that a message tells, in seconds."""


class Listener:
    """One socket: it upgrades, says what it watches, and reads frames until the end."""

    latest = b""
    """The latest body, whosever it was, and the oldest and the newest change it tells."""
    told: tuple[float, float] | None = None

    def __init__(self, port: int, hello: bytes, watch: bytes, came: Came) -> None:
        self._watch, self._came = watch, came
        self._rest = b""
        self._last = 0
        self.is_upgraded = self.has_heard = False
        self.newest = 0.0
        """The newest change it was told of, Unix seconds."""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(hello)

    def read(self) -> bool:
        """Take what has come; return whether there may come more."""
        end = len(self._rest)
        BUFFER[:end] = self._rest
        got = self.socket.recv_into(VIEW[end:])
        end += got
        begin = 0 if self.is_upgraded else self._upgrade(end)
        while self.is_upgraded and (frame := _frame(begin, end)):
            first, after = frame
            self._take(BUFFER[begin] & 15, first, after)
            begin = after
        self._rest = bytes(VIEW[begin:end])
        return got > 0

    def _upgrade(self, end: int) -> int:
        """Watch once the server has agreed; return where the frames begin."""
        blank = BUFFER.find(b"\r\n\r\n", 0, end)
        if blank < 0:
            return 0
        if b" 101 " not in BUFFER[: BUFFER.index(b"\r\n")]:
            raise ConnectionError("a socket was refused")
        self.is_upgraded = True
        if self._watch:
            self.socket.sendall(masked(TEXT, self._watch))
        return blank + 4

    def _take(self, kind: int, begin: int, end: int) -> None:
        if kind == PING:
            self.socket.sendall(masked(PONG, bytes(VIEW[begin:end])))
        if kind != TEXT:
            return
        now, came = time.time(), self._came
        self.has_heard = True
        body = begin
        if found := SEQUENCE.search(BUFFER, begin, min(end, begin + 64)):
            number, body = int(found[1]), found.end()
            came.missing += max(0, number - self._last - 1) if self._last else 0
            self._last = number
        stamps = _stamps(body, end) if came.counts else None
        if stamps is None:
            return
        oldest, newest = stamps
        self.newest = max(self.newest, newest)
        came.messages += 1
        came.bytes += end - begin
        came.latencies.append(now - oldest)


def _frame(begin: int, end: int) -> tuple[int, int] | None:
    """Where a whole frame's text begins and ends (RFC 6455 section 5.2); servers mask none."""
    if end - begin < 2:
        return None
    length, first = BUFFER[begin + 1] & 127, begin + 2
    if length >= 126:
        first += 2 if length == 126 else 8
        length = int.from_bytes(BUFFER[begin + 2 : first], "big")
    return (first, first + length) if first + length <= end else None


def _stamps(begin: int, end: int) -> tuple[float, float] | None:
    """The oldest and the newest change a message tells; a snapshot tells none."""
    if end - begin != len(Listener.latest) or not BUFFER.startswith(Listener.latest, begin):
        Listener.latest = bytes(VIEW[begin:end])
        found = [float(each) for each in STAMP.findall(Listener.latest)]
        is_news = found and b'"type":"snapshot"' not in Listener.latest[:40]
        Listener.told = (min(found), max(found)) if is_news else None
    return Listener.told


def masked(kind: int, text: bytes) -> bytes:
    """A client's frame, under the mask 0 0 0 0."""
    length = len(text)
    if length < 126:
        return bytes((0x80 | kind, 0x80 | length)) + bytes(4) + text
    return bytes((0x80 | kind, 0x80 | 126)) + length.to_bytes(2, "big") + bytes(4) + text


class Listeners:
    """All of them, read by one epoll."""

    def __init__(self, came: Came) -> None:
        self._came = came
        self._poll = select.epoll()
        self._sockets: dict[int, Listener] = {}

    def open(self, port: int, path: str, token: str, watches: list[list[int]]) -> None:
        """Open a socket for each watch, some at once; returns when each has heard something."""
        hello = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: c29ja2V0cyBvZiBiZW5jaA==\r\n"
            f"Authorization: Token {token}\r\n\r\n"
        ).encode()
        patience = time.monotonic() + PATIENCE_S
        opening: list[Listener] = []
        for rows in watches:
            watch = json.dumps({"watch": {"rows": rows}}).encode() if rows else b""
            made = Listener(port, hello, watch, self._came)
            self._sockets[made.socket.fileno()] = made
            self._poll.register(made.socket, select.EPOLLIN)
            opening.append(made)
            self._hear_until(patience, opening, AT_ONCE)
        self._hear_until(patience, opening, 1)

    def _hear_until(self, patience: float, opening: list[Listener], fewer_than: int) -> None:
        while len(opening) >= fewer_than:
            if time.monotonic() > patience:
                raise TimeoutError("not all sockets heard something")
            self._hear(1.0)
            opening[:] = [each for each in opening if not each.has_heard]

    def listen(self, seconds: float) -> None:
        """Count what comes in that time."""
        came, until, before = self._came, time.monotonic() + seconds, time.process_time()
        came.counts = True
        while (left := until - time.monotonic()) > 0:
            self._hear(left)
        came.counts, came.cpu = False, time.process_time() - before

    def _hear(self, timeout: float) -> None:
        for number, _ in self._poll.poll(timeout):
            if not self._sockets[number].read():
                self._came.broken += 1
                self._poll.unregister(number)

    def untold(self) -> int:
        """Who was not told of the last change has lost one, whatever the numbers say."""
        newest = max(each.newest for each in self._sockets.values())
        return sum(each.newest < newest for each in self._sockets.values())


def listen(port: int, path: str, token: str, watches: list[list[int]], seconds: float) -> Came:
    """Open a socket for each watch and listen; returns what came."""
    came = Came()
    sockets = Listeners(came)
    sockets.open(port, path, token, watches)
    sys.stdout.write("open\n")
    sys.stdout.flush()
    sockets.listen(seconds)
    if all(rows == watches[0] for rows in watches):
        came.missing += sockets.untold()
    return came


def main() -> None:
    given = json.loads(sys.stdin.readline())
    came = listen(**given)
    latencies = sorted(came.latencies) or [0.0]
    told = {
        "messages": came.messages,
        "bytes": came.bytes,
        "lost": came.missing + came.broken,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[int(0.99 * len(latencies))],
        "cpu": came.cpu,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
