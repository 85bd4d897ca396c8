"""How a job goes on, in and out: every kind of facts, then whole jobs against whole worlds."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrations import waves
from registrations.waves import CANARY, NEVER, Act, Decision, Facts, Lane, decide

WELL = Lane("ward", 10, 0, 0)
BUSY = Lane("ward", 10, 4, 0)
BROKEN = Lane("ward", 10, 4, 1)


def facts(wave: int | None = 1, lanes: Sequence[Lane] = (), **more: object) -> Facts:
    given = {"wave": wave, "lanes": tuple(lanes), "next_wave": None, "abort_above_percent": 5}
    return Facts(**(given | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lane", "next_wave", "is_paused", "is_stopped"),
    list(product((None, WELL, BUSY, BROKEN), (None, 2), (False, True), (False, True))),
)
def test_every_kind_of_facts_has_its_one_decision(
    lane: Lane | None, next_wave: int | None, is_paused: bool, is_stopped: bool
) -> None:
    lanes = () if lane is None else (lane,)
    act = decide(
        facts(1, lanes, next_wave=next_wave, is_paused=is_paused, is_stopped=is_stopped)
    ).act
    is_busy = lane in (BUSY, BROKEN)
    if is_stopped:
        assert act is (Act.WAIT if is_busy else Act.FINISH)
    elif lane is BROKEN:
        assert act is Act.ABORT
    elif is_busy:
        assert act is Act.WAIT
    elif next_wave is None:
        assert act is Act.FINISH
    else:
        assert act is (Act.WAIT if is_paused else Act.BEGIN)


def test_the_canary_comes_first_and_alone() -> None:
    assert decide(facts(None, next_wave=CANARY)) == Decision(Act.BEGIN, CANARY)
    assert decide(facts(CANARY, [Lane("ward", 1, 1, 0)], next_wave=1)).act is Act.WAIT
    assert decide(facts(CANARY, [Lane("ward", 1, 0, 0)], next_wave=1)) == Decision(Act.BEGIN, 1)


def test_a_failed_canary_stops_whatever_the_threshold_but_never() -> None:
    lanes = [Lane("lab", 1, 0, 0), Lane("ward", 1, 0, 1), Lane("icu", 1, 1, 0)]
    for threshold in range(NEVER):
        told = decide(facts(CANARY, lanes, next_wave=1, abort_above_percent=threshold))
        assert told.act is Act.ABORT
        assert "canary of group ward" in told.reason
    assert decide(facts(CANARY, lanes, next_wave=1, abort_above_percent=NEVER)).act is Act.WAIT


@pytest.mark.parametrize(
    ("failed", "threshold", "stops"),
    [(5, 5, False), (6, 5, True), (1, 0, True), (0, 0, False), (99, 99, False), (100, 99, True)],
)
def test_a_wave_stops_above_its_threshold_not_at_it(
    failed: int, threshold: int, stops: bool
) -> None:
    lanes = [Lane("ward", 100, 0, failed)]
    act = decide(facts(1, lanes, next_wave=2, abort_above_percent=threshold)).act
    assert (act is Act.ABORT) == stops


def test_it_stops_as_soon_as_the_wave_can_no_longer_stay_below() -> None:
    assert decide(facts(1, [Lane("ward", 100, 94, 6)], next_wave=2)).act is Act.ABORT


def test_a_primary_that_refuses_all_is_not_hidden_by_another_that_takes_many() -> None:
    lanes = [Lane("ward", 500, 0, 0), Lane("lab", 10, 0, 10)]
    told = decide(facts(1, lanes, next_wave=2))
    assert told.act is Act.ABORT
    assert told.reason == "In wave 1, 10 of 10 handsets of group lab failed: more than 5 %."


def test_a_job_of_nobody_is_done_at_once() -> None:
    assert decide(facts(None)).act is Act.FINISH


def test_a_paused_job_still_notices_that_its_wave_failed() -> None:
    assert decide(facts(1, [BROKEN], next_wave=2, is_paused=True)).act is Act.ABORT


# ---- Whole jobs -------------------------------------------------------------------------------

sizes = st.lists(st.integers(0, 4), max_size=5)
"""How many handsets each wave has, the canary's first."""
events = st.lists(st.sampled_from(["move", "fail", "pause", "resume", "cancel", "again"]))


class World:
    """The rows of one job, and an operator. Waves are begun as `decide` says."""

    def __init__(self, waiting: Sequence[int], threshold: int) -> None:
        self.waiting = dict(enumerate(waiting))
        self.asked: dict[int, list[str]] = {}
        self.facts = facts(None, abort_above_percent=threshold)
        self.is_over = False

    def see(self) -> Facts:
        now = self.facts.wave
        answers = self.asked.get(-1 if now is None else now, [])
        lane = Lane("ward", len(answers), answers.count("?"), answers.count("fail"))
        later = [w for w, n in self.waiting.items() if n and (now is None or w > now)]
        return replace(
            self.facts, lanes=(lane,) if answers else (), next_wave=min(later, default=None)
        )

    def step(self) -> Decision:
        told = decide(self.see())
        if told.act is Act.BEGIN:
            assert told.wave not in self.asked, "a wave was begun twice"
            assert "?" not in sum(self.asked.values(), []), "two waves at once"
            self.asked[told.wave] = ["?"] * self.waiting.pop(told.wave)
            self.facts = replace(self.facts, wave=told.wave)
        if told.act is Act.ABORT:
            self.facts = replace(self.facts, is_stopped=True)
            self.waiting.clear()
        self.is_over = told.act is Act.FINISH
        return told

    def meet(self, event: str) -> None:
        if event in ("move", "fail"):
            for answers in self.asked.values():
                if "?" in answers:
                    answers[answers.index("?")] = event
        if event in ("pause", "resume"):
            self.facts = replace(self.facts, is_paused=event == "pause")
        if event == "cancel":
            self.facts = replace(self.facts, is_stopped=True)
            self.waiting.clear()


@given(waiting=sizes, threshold=st.integers(0, 100), script=events)
def test_whatever_happens_a_job_ends_and_asks_everybody_at_most_once(
    waiting: list[int], threshold: int, script: list[str]
) -> None:
    world = World(waiting, threshold)
    for event in script:
        world.meet(event)
        world.step()
        if event == "again":
            # A second step at once, as by another process: nothing new unless something is due.
            before = world.see()
            if world.step().act is Act.WAIT:
                assert world.see() == before
    world.meet("resume")
    for _ in range(4 * sum(waiting) + 4 * len(waiting) + 4):
        if world.is_over:
            break
        world.meet("move")
        world.step()
    assert world.is_over
    assert "?" not in sum(world.asked.values(), [])
    if not world.facts.is_stopped:
        assert sum(len(answers) for answers in world.asked.values()) == sum(waiting)


@given(waiting=sizes, script=events)
def test_nothing_stops_a_job_that_is_never_to_stop(waiting: list[int], script: list[str]) -> None:
    world = World(waiting, NEVER)
    for event in script:
        if event != "cancel":
            world.meet(event)
            assert world.step().act is not Act.ABORT


@given(handsets=st.integers(0, 5000), size=st.integers(1, 500))
def test_the_waves_hold_all_but_the_canary(handsets: int, size: int) -> None:
    n = waves.waves(handsets, size)
    assert n * size >= handsets - 1 > (n - 1) * size or handsets <= 1


def test_a_wave_is_what_a_cap_takes_in_five_seconds() -> None:
    assert waves.wave_size(200) == 500
    assert waves.wave_size(40) == 100
    assert waves.wave_size(1) == waves.SMALLEST_WAVE
    assert waves.wave_size(0) == waves.wave_size(10_000) == waves.LARGEST_WAVE
    assert waves.wave_size(200, 7) == 7
    assert waves.wave_size(200, groups=20) == 100, "many groups share one wave"
    assert waves.wave_size(0, groups=5000) == waves.SMALLEST_WAVE


def test_the_time_a_job_takes_is_told_by_its_slowest_group() -> None:
    assert waves.seconds([]) == 0
    assert waves.seconds([(1, 100, 40)]) == 1
    assert waves.seconds([(101, 100, 40), (101, 100, 200)]) == 1 + 1 + 5
    assert waves.seconds([(301, 100, 40)]) == 1 + 3 * (1 + 5)
