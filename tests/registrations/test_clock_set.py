"""The machine's clock is set while a line is bound, waits, or is refused: what its agent does."""

import time
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from celery import Celery

from fleet.config.beat import Scheduler
from registrations.runtime.clock import WallClock, steady
from registrations.values import FailBackMode, News, Policy
from tests.support.virtual import World

HOUR = 3600.0
POLICY = Policy(expires=600, re_register_on=True, fail_back_mode=FailBackMode.DURATION)


def set_clock(world: World, step: float) -> None:
    world.now += step
    world.news = News(clock_set=step)


def bound_on_secondary() -> World:
    world = World(POLICY)
    world.registrars[0].mood = "dead"
    assert world.claim().state == "secondary"
    world.registrars[0].mood = "ok"
    return world


@pytest.mark.parametrize("step", [-HOUR, -60.0, 60.0, HOUR])
def test_what_is_bound_is_renewed_at_once_where_it_is_and_nothing_has_happened(step: float) -> None:
    world = bound_on_secondary()
    asked = world.seen(2)
    set_clock(world, step)
    result = world.claim()
    assert world.seen(2) > asked
    assert (result.state, result.transitions) == ("secondary", ())
    assert result.expires_at == pytest.approx(world.now + 600)
    assert world.now < result.due_at < world.now + 600


def test_set_back_twice_by_two_workers_it_is_still_only_renewed() -> None:
    world = bound_on_secondary()
    set_clock(world, -60.0)
    world.claim()
    world.news = News(clock_set=-60.0)
    result = world.claim()
    assert (result.state, result.transitions) == ("secondary", ())


def test_the_way_home_is_not_an_hour_longer_for_a_clock_set_back() -> None:
    world = World(Policy(expires=600, fail_back_mode=FailBackMode.DURATION, fail_back_timeout=900))
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = "ok"
    set_clock(world, -HOUR)
    began = world.now
    world.claim()
    world.news = News()
    while world.result is not None and world.result.state != "primary":
        world.wait()
    assert world.now - began <= 900 + 1


def test_who_waits_does_not_wait_for_an_hour_more() -> None:
    world = World(Policy(register_retry_base=60, register_retry_max=60), servers=1)
    world.registrars[0].mood = "503 Busy"
    assert world.claim().state == "unregistered"
    waits = (world.result.due_at if world.result else 0.0) - world.now
    set_clock(world, -HOUR)
    assert world.claim().due_at - world.now <= waits


def test_a_set_clock_is_seen_once_and_a_slewed_one_never() -> None:
    clock = WallClock()
    assert clock.step() == 0.0
    begin = steady()
    with time_machine.travel(time.time() - HOUR, tick=True) as traveller:
        assert clock.step() == pytest.approx(-HOUR, abs=30)
        assert clock.step() == 0.0
        traveller.shift(1.0)
        assert clock.step() == 0.0
    assert steady() - begin < 60, "the steady clock went on as if nothing had been"
    assert clock.step() == pytest.approx(HOUR, abs=30)


@pytest.mark.parametrize("is_new", [False, True], ids=["running", "started anew"])
def test_beat_goes_on_where_the_clock_was_set_back(tmp_path: Path, is_new: bool) -> None:
    app = Celery("beat-test", broker="memory://")
    app.conf.beat_schedule = {"tick": {"task": "tick", "schedule": timedelta(seconds=1)}}
    made = {"app": app, "schedule_filename": str(tmp_path / "schedule"), "lazy": False}
    scheduler = Scheduler(**made)
    sent: list[str] = []
    ticks(scheduler, sent, 1)
    if is_new:
        scheduler.close()
        scheduler = Scheduler(**made)
    sent.clear()
    with time_machine.travel(time.time() - HOUR, tick=True):
        ticks(scheduler, sent, 2)
    scheduler.close()


def ticks(scheduler: Scheduler, sent: list[str], wanted: int) -> None:
    """Do what beat's own loop does until it has ticked so often; its sleeps are cut short."""
    scheduler.apply_entry = lambda entry, producer=None: sent.append(entry.name)  # type: ignore[method-assign]
    end = time.monotonic() + 30
    while sent.count("tick") < wanted:
        assert time.monotonic() < end, "beat stands still until the old time has come again"
        time.sleep(min(max(scheduler.tick(), 0.0), 0.1))
