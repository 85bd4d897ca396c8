"""What agents sent and heard, on its way into Redis: never in the way of an agent, lost or not."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from registrations import ring
from registrations.report import Heard
from registrations.runtime import tracer
from registrations.runtime.tracer import Tracer
from tests.registrations.trace.wire import PRIMARY, Exchange
from tests.support import parts
from tests.support.processes import Child, free_port
from tests.support.waiting import wait_until


class Redis:
    """A Redis that can be killed and started again, empty, at the same place."""

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._home = home
        self._child: Child | None = None

    def start(self) -> None:
        command = [parts.need("redis"), "--port", str(self.port), "--save", ""]
        self._child = Child("redis", [*command, "--dir", str(self._home)], self._home / "log")
        wait_until(self._answers, 30, "Redis answers", every=0.02)

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()

    def _answers(self) -> bool:
        try:
            ring.read(0)
        except ring.Unavailable:
            return False
        return True


@pytest.fixture
def redis(tmp_path: Path, settings: Any) -> Iterator[Redis]:
    made = Redis(tmp_path)
    settings.REDIS_URL = made.url
    made.start()
    yield made
    made.kill()


def keep(to: Tracer, line: int = 1, note: str = "", *, is_calm: bool = False) -> None:
    exchange = Exchange()
    exchange.attempt()
    heard = [Heard.of(PRIMARY, outcome) for outcome in exchange.outcomes]
    to.keep(line, exchange.noted, () if note else heard, note, is_calm)


async def until(condition: Callable[[], Any]) -> None:
    await asyncio.to_thread(wait_until, condition, 30, "it happens", every=0.02)


def running(scene: Callable[[Tracer], Any]) -> None:
    """Play the scene with a tracer of this loop's, and close it."""

    async def play() -> None:
        made = Tracer(asyncio.get_running_loop())
        try:
            await scene(made)
        finally:
            await made.close()

    asyncio.run(play())


def test_a_try_is_in_redis_soon_and_everybody_can_read_it(redis: Redis) -> None:
    async def scene(made: Tracer) -> None:
        keep(made)
        keep(made, note="the worker stopped")
        await until(lambda: len(ring.read(1).tries) == 2)

    running(scene)
    assert sorted(record.note for record in ring.read(1).tries) == ["", "the worker stopped"]


def test_a_calm_renewal_is_not_kept_unless_it_took_more_than_usual(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(made: Tracer) -> None:
        keep(made, is_calm=True)
        keep(made, 2)
        monkeypatch.setattr(tracer, "CALM_MESSAGES", 3)
        keep(made, 3, is_calm=True)
        await until(lambda: ring.read(3).tries)

    running(scene)
    assert [len(ring.read(line).tries) for line in (1, 2, 3)] == [0, 1, 1]


def test_what_waits_is_written_when_the_worker_ends(redis: Redis) -> None:
    async def scene(made: Tracer) -> None:
        for line in range(700):
            keep(made, line)

    running(scene)
    assert all(ring.read(line).tries for line in (0, 499, 500, 699))


def test_while_agents_need_the_processor_tries_wait_though_not_for_long(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracer, "FLUSH_S", 0.02)
    has_time = False

    async def scene() -> None:
        nonlocal has_time
        made = Tracer(asyncio.get_running_loop(), lambda: has_time)
        monkeypatch.setattr(tracer, "HELD_S", 600.0)
        keep(made, 1)
        await asyncio.sleep(0.2)
        assert len(made) == 1 and not ring.read(1).tries
        has_time = True
        await until(lambda: ring.read(1).tries)
        has_time = False
        monkeypatch.setattr(tracer, "HELD", 3)
        for line in range(2, 5):
            keep(made, line)
        await until(lambda: ring.read(4).tries)
        monkeypatch.setattr(tracer, "HELD_S", 0.1)
        keep(made, 5)
        await until(lambda: ring.read(5).tries)
        monkeypatch.setattr(tracer, "HELD_S", 600.0)
        keep(made, 6)
        await made.close()

    asyncio.run(scene())
    assert ring.read(6).tries, "whoever ends writes what waits"


def test_while_redis_is_away_tries_wait_and_are_written_when_it_is_back(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracer, "RETRY_S", 0.2)

    async def scene(made: Tracer) -> None:
        redis.kill()
        keep(made)
        await until(lambda: made._trouble)
        keep(made)
        redis.start()  # Here: it dies with the thread that started it.
        await until(lambda: len(ring.read(1).tries) == 2)

    running(scene)
    assert ring.read(1).lost is None


def test_beyond_its_room_the_oldest_are_dropped_and_counted_and_readers_are_told(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracer, "RETRY_S", 0.2)
    monkeypatch.setattr(tracer, "MOST_WAITING", 10)
    began = time.time()

    async def scene(made: Tracer) -> None:
        redis.kill()
        keep(made)
        await until(lambda: made._trouble)
        for line in range(2, 20):
            keep(made, line)
        redis.start()  # Here: it dies with the thread that started it.
        await until(lambda: ring.read(19).tries)
        await until(lambda: ring.read(19).lost)

    running(scene)
    lost = ring.read(19).lost
    assert lost is not None
    kept = [line for line in range(1, 20) if ring.read(line).tries]
    assert lost.tries + len(kept) == 19
    assert kept[-10:] == list(range(10, 20)), "the newest"
    assert lost.why == tracer.AWAY
    assert began <= lost.since <= lost.until <= time.time()


def test_a_redis_that_hangs_blocks_no_agent(redis: Redis) -> None:
    async def scene(made: Tracer) -> None:
        assert redis._child is not None
        redis._child.signal_group(19)  # SIGSTOP: the port takes connections, nothing answers.
        try:
            keep(made)
            await asyncio.sleep(tracer.FLUSH_S + 0.1)
            began = time.perf_counter()
            for line in range(100):
                made.keep(line, [(0.0, 0, None, b"x")], ())  # type: ignore[list-item]
            assert time.perf_counter() - began < 1.0
        finally:
            redis._child.signal_group(18)
        made._noted.clear()

    running(scene)


def test_a_try_that_cannot_be_packed_takes_no_other_with_it_for_ever(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(made: Tracer) -> None:
        made.keep(1, [(0.0, 7, "nonsense", b"x")], ())  # type: ignore[list-item]
        await until(lambda: "cannot be kept" in caplog.text)
        keep(made, 2)
        await until(lambda: ring.read(2).tries)

    running(scene)
