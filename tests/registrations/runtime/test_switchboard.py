"""Who gets what: a process that is behind reads what has come before it asks again."""

import asyncio
import socket
import time

from registrations.runtime.clock import steady
from registrations.runtime.switchboard import GRAIN_S, Flight, Switchboard
from registrations.runtime.udp import RECEIVE_AT_ONCE
from registrations.values import Target

ANSWER = (
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK%d\r\nContent-Length: 0\r\n\r\n"
)


class Asker(Flight):
    """Waits for the answer to one request, and rings when it is to be sent again."""

    def __init__(self) -> None:
        super().__init__()
        self.happened: list[str] = []
        self.has_rung = asyncio.Event()

    def receive(self, data: bytes, source: tuple[str, int]) -> None:
        self.happened.append("heard")

    def ring(self) -> None:
        self.happened.append("rang")
        self.has_rung.set()


class Slow(Asker):
    """Takes so long over each answer that timers fall due meanwhile."""

    def receive(self, data: bytes, source: tuple[str, int]) -> None:
        time.sleep(2 * GRAIN_S / RECEIVE_AT_ONCE)


def test_an_answer_that_is_here_already_is_read_before_anybody_asks_again() -> None:
    asker = Asker()

    async def body() -> None:
        loop = asyncio.get_running_loop()
        switchboard = Switchboard(loop, lambda data, source: None)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as registrar:
            registrar.bind(("127.0.0.1", 0))
            target = Target(1, *registrar.getsockname())
            ours = switchboard.transport.local(target)
            last = 2 * RECEIVE_AT_ONCE + 10
            switchboard.follow(Slow(), tuple(f"z9hG4bK{n}" for n in range(last)))
            switchboard.follow(asker, (f"z9hG4bK{last}",))
            switchboard.wake(asker, steady())
            for n in range(last + 1):
                registrar.sendto(ANSWER % n, ours)
            await asyncio.wait_for(asker.has_rung.wait(), 10)
        switchboard.close()

    asyncio.run(body())
    assert asker.happened == ["heard", "rang"]
