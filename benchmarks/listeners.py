"""Many browsers' sockets in one process: opened, told what to watch, their messages timed.

Run as a process of its own: what it costs to listen is nobody's who is measured. It writes a line
when all have their first message, listens for so many seconds, and writes what came as JSON.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass, field

AT_ONCE = 25
PATIENCE_S = 180.0
STAMP = re.compile(rb"stamp=(\d+\.\d+)")
SEQUENCE = re.compile(rb'"seq":(\d+)')


@dataclass(slots=True)
class Came:
    """What one process has heard."""

    counts: bool = False
    messages: int = 0
    bytes: int = 0
    missing: int = 0
    """Numbers that a socket never saw."""
    broken: int = 0
    latencies: list[float] = field(default_factory=list)
    """From the oldest change that a message tells, in seconds."""


class Listener(asyncio.Protocol):
    """One socket: it upgrades, says what it watches, and reads frames until the end."""

    def __init__(self, hello: bytes, watch: bytes, came: Came) -> None:
        self._hello, self._watch, self._came = hello, watch, came
        self._buffer = bytearray()
        self._is_open = False
        self._last = 0
        self.newest = 0.0
        """The newest change it was told of, Unix seconds."""
        self.first = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(self._hello)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        self._came.broken += self._came.counts
        if not self.first.done():
            self.first.set_exception(ConnectionError("a socket was refused"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open:
            head, blank, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not blank:
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self._transport.close()
                return
            self._is_open, self._buffer = True, bytearray(rest)
            if self._watch:
                self._transport.write(masked(self._watch))  # type: ignore[attr-defined]
        while (frame := self._frame()) is not None:
            self._take(frame)

    def _frame(self) -> bytes | None:
        """Take one whole frame off the buffer (RFC 6455 section 5.2); servers mask none."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, begin = buffer[1] & 127, 2
        if length >= 126:
            begin = 4 if length == 126 else 10
            length = int.from_bytes(buffer[2:begin], "big")
        if len(buffer) < begin + length:
            return None
        frame = bytes(buffer[begin : begin + length])
        del buffer[: begin + length]
        return frame

    def _take(self, frame: bytes) -> None:
        now = time.time()
        if not self.first.done():
            self.first.set_result(None)
        if found := SEQUENCE.search(frame, 0, 64):
            number = int(found[1])
            self._came.missing += max(0, number - self._last - 1) if self._last else 0
            self._last = number
        stamps = STAMP.findall(frame)
        if not self._came.counts or not stamps or b'"type":"snapshot"' in frame[:100]:
            return
        told = [float(each) for each in stamps]
        self.newest = max(self.newest, *told)
        self._came.messages += 1
        self._came.bytes += len(frame)
        self._came.latencies.append(now - min(told))


def masked(text: bytes) -> bytes:
    """A client's text frame, under the mask 0 0 0 0."""
    length = len(text)
    if length < 126:
        return bytes((0x81, 0x80 | length)) + bytes(4) + text
    return bytes((0x81, 0x80 | 126)) + length.to_bytes(2, "big") + bytes(4) + text


async def listen(
    port: int, path: str, token: str, watches: list[list[int]], seconds: float
) -> Came:
    """Open a socket for each watch and listen; returns what came."""
    loop, came = asyncio.get_running_loop(), Came()
    hello = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: c29ja2V0cyBvZiBiZW5jaA==\r\n"
        f"Authorization: Token {token}\r\n\r\n"
    ).encode()
    gate = asyncio.Semaphore(AT_ONCE)

    async def opened(rows: list[int]) -> Listener:
        watch = json.dumps({"watch": {"rows": rows}}).encode() if rows else b""
        async with gate:
            _, made = await loop.create_connection(
                lambda: Listener(hello, watch, came), "127.0.0.1", port
            )
            async with asyncio.timeout(PATIENCE_S):
                await made.first
        return made

    sockets = await asyncio.gather(*map(opened, watches))
    came.counts = True
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.sleep(seconds)
    came.counts = False
    newest = max(each.newest for each in sockets)
    # Who was not told of the last change has lost one, whatever the numbers say.
    if not any(watches) or all(rows == watches[0] for rows in watches):
        came.missing += sum(each.newest < newest for each in sockets)
    return came


def main() -> None:
    given = json.loads(sys.stdin.readline())
    came = asyncio.run(listen(**given))
    latencies = sorted(came.latencies) or [0.0]
    told = {
        "messages": came.messages,
        "bytes": came.bytes,
        "lost": came.missing + came.broken,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[int(0.99 * len(latencies))],
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
