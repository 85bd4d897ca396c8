"""Permits: order, cap, window, and what lies beyond a lease."""

import asyncio
import time
from collections.abc import Callable

import pytest

from registrations import store
from registrations.runtime import pacer as pacing
from registrations.runtime.database import Database
from registrations.runtime.pacer import Pacer, Ticket
from registrations.store import reserve
from tests.support.cap import metronome
from tests.support.claims import make_group

pytestmark = pytest.mark.usefixtures("database")


PLACE = ("127.0.0.61", 5071)


class Line:
    """One who waits, and what became of it."""

    def __init__(self, log: list["Line"], name: str, server: int, rate: float, **more: object):
        self.name = name
        self.left_at: float | None = None
        self.postponed_to: float | None = None
        self.paused_until: float | None = None
        self.log = log
        self.is_gone = False
        self.ticket = Ticket(
            server_id=server,
            place=more.get("place", PLACE),  # type: ignore[arg-type]
            rate=rate,
            is_retry=bool(more.get("is_retry")),
            lease_until=time.time() + float(more.get("lease", 30.0)),  # type: ignore[arg-type]
            use=self.use,
            postpone=self.postpone,
            pause=self.pause,
            is_void=lambda: self.is_gone,
            can_wait=bool(more.get("can_wait")),
            gathers=bool(more.get("gathers")),
        )

    def use(self) -> str:
        self.left_at = time.time()
        self.log.append(self)
        return f"branch-{self.name}"

    def pause(self, until: float) -> None:
        self.paused_until = until
        self.log.append(self)

    def postpone(self, until: float) -> None:
        self.postponed_to = until
        self.log.append(self)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


def with_pacers(n: int, body: Callable[..., object]) -> None:
    """Run `body(*pacers)` with pacers that know of each other only through the database."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        databases = [Database(loop) for _ in range(n)]

        def reserving(database: Database) -> pacing.Reserve:
            return lambda *given: database.run(reserve, *given)

        pacers = [Pacer(loop, reserving(database)) for database in databases]
        try:
            await body(*pacers)  # type: ignore[misc]
        finally:
            for each in pacers:
                each.close()
            for database in databases:
                await loop.run_in_executor(None, database.close)

    asyncio.run(run())


def server() -> int:
    return make_group().servers.get(priority=1).pk


def test_without_a_cap_all_leave_at_once() -> None:
    log: list[Line] = []
    asked = server()

    async def body(pacer: Pacer) -> None:
        for i in range(100):
            pacer.ask(Line(log, str(i), asked, 0).ticket)
        assert len(log) == 100

    with_pacers(1, body)


def test_two_processes_never_exceed_the_cap_in_any_second() -> None:
    log: list[Line] = []
    asked, cap = server(), 40

    async def body(one: Pacer, two: Pacer) -> None:
        for i in range(60):
            one.ask(Line(log, f"one-{i}", asked, cap).ticket)
            two.ask(Line(log, f"two-{i}", asked, cap).ticket)
        await until(lambda: len(log) == 120)

    with metronome() as meter:
        with_pacers(2, body)
    times = [line.left_at for line in log if line.left_at is not None]
    assert len(times) == 120
    assert cap / 4 < meter.most_in_a_second(times) <= cap, "it is used, not only kept"


def test_credential_retries_go_first() -> None:
    log: list[Line] = []
    asked = server()

    async def body(pacer: Pacer) -> None:
        for i in range(5):
            pacer.ask(Line(log, f"first-{i}", asked, 20).ticket)
        pacer.ask(Line(log, "retry", asked, 20, is_retry=True).ticket)
        await until(lambda: len(log) == 6)

    with_pacers(1, body)
    assert [line.name for line in log][0] == "retry"


def test_who_can_wait_goes_behind_all_others_however_late_they_come() -> None:
    log: list[Line] = []
    asked = server()

    async def body(pacer: Pacer) -> None:
        for i in range(3):
            pacer.ask(Line(log, f"waits-{i}", asked, 20, can_wait=True).ticket)
        for i in range(3):
            pacer.ask(Line(log, f"first-{i}", asked, 20).ticket)
        await until(lambda: len(log) == 6)

    with_pacers(1, body)
    assert [line.name.partition("-")[0] for line in log] == ["first"] * 3 + ["waits"] * 3


def with_counted_slots(body: Callable[[Pacer, list[int]], object]) -> None:
    """Run `body(pacer, reserved)` with slots that cost nothing and are counted."""

    async def run() -> None:
        reserved: list[int] = []

        async def reserving(_: int, __: object, n: int, *___: float) -> store.Slots:
            reserved.append(n)
            return store.Slots(time.time(), True, 0.0)

        pacer = Pacer(asyncio.get_running_loop(), reserving)
        await body(pacer, reserved)  # type: ignore[misc]
        pacer.close()

    asyncio.run(run())


def test_those_that_come_in_one_turn_of_the_loop_share_a_reservation() -> None:
    log: list[Line] = []

    async def body(pacer: Pacer, reserved: list[int]) -> None:
        for i in range(10):
            pacer.ask(Line(log, str(i), 1, 100).ticket)
        await until(lambda: bool(reserved))
        assert reserved[0] == 10

    with_counted_slots(body)


def test_those_that_gather_wait_for_their_like_but_hold_up_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log: list[Line] = []
    monkeypatch.setattr(pacing, "GATHER_S", 3600.0)
    # A place that a busy machine lets pass would be gathered for anew.
    monkeypatch.setattr(pacing, "LATE_S", 60.0)

    async def body(pacer: Pacer, reserved: list[int]) -> None:
        for i in range(3):
            pacer.ask(Line(log, f"question-{i}", 1, 100, can_wait=True, gathers=True).ticket)
            await asyncio.sleep(0.01)
        assert not reserved
        pacer.ask(Line(log, "handset", 1, 100).ticket)
        await until(lambda: len(log) == 4)
        assert reserved[0] == 4

    with_counted_slots(body)
    assert log[0].name == "handset"


def test_a_turn_beyond_the_lease_is_postponed_to_that_turn() -> None:
    log: list[Line] = []
    asked = server()
    began = time.time()

    async def body(pacer: Pacer) -> None:
        for i in range(30):
            pacer.ask(Line(log, str(i), asked, 10, lease=2.0).ticket)
        await until(lambda: len(log) == 30)

    with_pacers(1, body)
    away = sorted(line.postponed_to for line in log if line.postponed_to is not None)
    assert away
    # Whatever the machine does meanwhile, nobody's turn lies before the lease's end, and they are
    # as far apart as the cap asks: who was sent away first leaves its turn to nobody else.
    assert away[0] > began + 1.0
    assert away[-1] - away[0] >= 0.5 * 0.1 * (len(away) - 1)


def test_a_server_booked_beyond_the_lease_postpones_all_and_uses_no_slot_up() -> None:
    log: list[Line] = []
    asked = server()
    store.reserve_slots(asked, 1200, 10)
    free_at = store.reserve(asked, PLACE, 0, 10, 0.0).first
    assert free_at > time.time() + 60

    async def body(pacer: Pacer) -> None:
        for i in range(10):
            pacer.ask(Line(log, str(i), asked, 10).ticket)
        await until(lambda: len(log) == 10)

    with_pacers(1, body)
    assert all(
        line.postponed_to is not None and line.postponed_to >= free_at - 0.01 for line in log
    )
    assert store.reserve(asked, PLACE, 0, 10, 0.0).first == pytest.approx(free_at, abs=0.01)


def test_who_has_gone_away_costs_no_slot() -> None:
    log: list[Line] = []
    asked = server()

    async def body(pacer: Pacer) -> None:
        lines = [Line(log, str(i), asked, 1) for i in range(20)]
        for line in lines:
            pacer.ask(line.ticket)
        for line in lines[:-1]:
            line.is_gone = True
        await until(lambda: len(log) == 1)

    began = time.time()
    with_pacers(1, body)
    assert log[0].name == "19"
    assert time.time() - began < 10.0, "a slot for each would take twenty seconds"


def test_the_window_holds_back_while_nobody_answers_and_opens_with_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pacing, "YOUNG_S", 2.0)
    log: list[Line] = []
    asked = server()

    async def body(pacer: Pacer) -> None:
        for i in range(pacing.WINDOW + 50):
            pacer.ask(Line(log, str(i), asked, 0).ticket)
        assert len(log) == pacing.WINDOW
        for i in range(20):
            pacer.over(asked, f"branch-{i}")
        assert len(log) == pacing.WINDOW + 20
        await until(lambda: len(log) == pacing.WINDOW + 50)

    with_pacers(1, body)


def test_a_database_that_is_away_delays_permits_and_loses_none() -> None:
    log: list[Line] = []
    asked = server()
    failures = iter([OSError("away"), OSError("away")])

    async def body(pacer: Pacer) -> None:
        inner = pacer._reserve

        async def shaky(*given: object) -> store.Slots:
            for failure in failures:
                raise failure
            return await inner(*given)  # type: ignore[arg-type]

        pacer._reserve = shaky  # type: ignore[assignment]
        pacer.ask(Line(log, "only", asked, 10).ticket)
        await until(lambda: len(log) == 1)

    with_pacers(1, body)
    assert log[0].left_at is not None


def test_a_database_that_answers_late_is_asked_for_slots_that_much_ahead() -> None:
    log: list[Line] = []
    asked = server()

    async def body(pacer: Pacer) -> None:
        inner = pacer._reserve

        async def slow(*given: object) -> store.Slots:
            slots = await inner(*given)  # type: ignore[arg-type]
            await asyncio.sleep(1)
            return slots

        pacer._reserve = slow  # type: ignore[assignment]
        for i in range(20):
            pacer.ask(Line(log, str(i), asked, 20).ticket)
        await until(lambda: len(log) == 20, 30)

    with_pacers(1, body)
    assert all(line.left_at is not None for line in log)


@pytest.mark.parametrize("cap", [0, 20])
def test_a_pause_sends_all_who_wait_away_and_nothing_leaves_until_it_is_over(cap: int) -> None:
    log: list[Line] = []
    asked = server()

    async def body(pacer: Pacer) -> None:
        early = [Line(log, f"early-{i}", asked, 1) for i in range(10)]
        for line in early:
            pacer.ask(line.ticket)
        until_then = time.time() + 2
        pacer.pause(PLACE, until_then)
        assert all(line.paused_until == until_then for line in early)
        pacer.pause(PLACE, until_then - 1)
        late = Line(log, "late", asked, cap)
        pacer.ask(late.ticket)
        assert late.paused_until == until_then
        await until(lambda: time.time() > until_then)
        after = Line(log, "after", asked, cap)
        pacer.ask(after.ticket)
        await until(lambda: after.left_at is not None)
        assert [line for line in log if line.left_at is not None] == [after]

    with_pacers(1, body)


def test_a_pause_that_another_process_was_told_holds_here_at_the_next_reservation() -> None:
    log: list[Line] = []
    asked = server()
    until_then = time.time() + 60
    store.pause(asked, PLACE, until_then)

    async def body(pacer: Pacer) -> None:
        line = Line(log, "one", asked, 20)
        pacer.ask(line.ticket)
        await until(lambda: bool(log))
        assert (line.left_at, line.paused_until) == (None, until_then)

    with_pacers(1, body)


def test_a_pause_of_one_place_of_a_name_sends_away_who_waits_for_it_and_nobody_else() -> None:
    """Several addresses stand behind one configured server: each speaks for itself."""
    log: list[Line] = []
    asked = server()
    other = ("127.0.0.62", 5071)
    until_then = time.time() + 60

    async def body(pacer: Pacer) -> None:
        here = [Line(log, f"here-{i}", asked, 5) for i in range(3)]
        there = [Line(log, f"there-{i}", asked, 5, place=other) for i in range(3)]
        for one, two in zip(here, there, strict=True):
            pacer.ask(one.ticket)
            pacer.ask(two.ticket)
        pacer.pause(PLACE, until_then)
        await until(lambda: len(log) == 6)
        assert all(line.paused_until == until_then for line in here if line.left_at is None)
        assert all(line.left_at is not None for line in there)
        late = Line(log, "late", asked, 5)
        pacer.ask(late.ticket)
        assert late.paused_until == until_then

    with_pacers(1, body)
