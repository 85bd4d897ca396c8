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
            await asyncio.wait_for(asker.has_rung.wait(), 30)
        switchboard.close()

    asyncio.run(body())
    assert asker.happened == ["heard", "rang"]


def test_who_is_woken_sooner_later_or_not_at_all_rings_once_at_its_last_time_or_never() -> None:
    rung: list[tuple[str, float]] = []

    class Sleeper(Flight):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name
            self.has_rung = asyncio.Event()

        def ring(self) -> None:
            rung.append((self.name, steady()))
            self.has_rung.set()
            if self.name == "first":
                # Who rings may take back what another one of the same moment wanted.
                switchboard.wake(called_off, None)

    async def body() -> None:
        nonlocal switchboard
        switchboard = Switchboard(asyncio.get_running_loop(), lambda data, source: None)
        begin = steady()
        for sleeper, at in (
            (later, begin + 0.05),
            (later, begin + 0.3),
            (sooner, begin + 5.0),
            (sooner, begin + 0.1),
            (never, begin + 0.1),
            (never, None),
            (first, begin + 0.15),
            (called_off, begin + 0.15),
        ):
            switchboard.wake(sleeper, at)
        await asyncio.wait_for(later.has_rung.wait(), 30)
        await asyncio.sleep(2 * GRAIN_S)
        for (_, at), wanted in zip(rung, (0.1, 0.15, 0.3), strict=True):
            assert at > begin + wanted - 0.001
        switchboard.close()

    switchboard: Switchboard
    later, sooner, never = Sleeper("later"), Sleeper("sooner"), Sleeper("never")
    first, called_off = Sleeper("first"), Sleeper("called off")
    asyncio.run(body())
    assert [name for name, _ in rung] == ["sooner", "first", "later"]
