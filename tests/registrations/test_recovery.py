"""How long an agent may take: whatever is legal is never called stuck, nothing else is legal."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registrations.agent import Agent
from registrations.recovery import (
    LONGEST_REST_S,
    Pulse,
    longest_claim_s,
    longest_silence_s,
    rest_s,
)
from registrations.values import GroupMode, Policy
from tests.registrations.test_agent_invariants import PROFILE, acts, policies
from tests.support.theatre import MOODS, Theatre
from tests.support.virtual import World

EVERY_S = 5.0
PERMIT_S = 30.0


class Watched(Theatre):
    """A theatre in which somebody looks every EVERY_S seconds, and each permit takes its time."""

    waits: random.Random

    def _started(self, wish: str) -> Agent:
        self.pulse, self.next_look = Pulse(), self.now + EVERY_S
        return super()._started(wish)

    def turn(self, agent: Agent) -> None:
        if any(c.client.wants_permit for c in agent._courses):
            # The others' timers go on meanwhile, as they do in a worker.
            granted_at = self.now + self.waits.choice([0.0, 0.2, PERMIT_S - 0.1])
            while (timer := self.ask(agent).timer) is not None and timer < granted_at:
                self._pass(max(self.now, timer))
                agent.handle_timer(self.now)
                self.pulse.turns += 1
                self.ask(agent)
                sent, self.outbox = self.outbox, []
                for target, data in sent:
                    self._carry(agent, target, data)
            self._pass(max(self.now, granted_at))
        before = self.now
        super().turn(agent)
        after, self.now = self.now, before
        self._pass(after)
        self.pulse.turns += 1

    def _pass(self, until: float) -> None:
        silence_s = longest_silence_s(self.policy, PERMIT_S)
        claim_s = longest_claim_s(self.policy, self.servers, PERMIT_S)
        while self.next_look <= until:
            self.pulse.look()
            self.next_look += EVERY_S
            assert not self.pulse.is_stuck(EVERY_S, silence_s, claim_s), "it only did its work"
        self.now = until


@settings(PROFILE)
@given(
    mode=st.sampled_from(GroupMode),
    policy=policies,
    count=st.integers(1, 3),
    seed=st.integers(0, 1000),
    is_cleared=st.booleans(),
    moods=st.lists(st.sampled_from(MOODS), min_size=3, max_size=3),
    script=st.lists(acts, max_size=20),
)
def test_whatever_is_legal_is_never_called_stuck(
    mode: GroupMode,
    policy: Policy,
    count: int,
    seed: int,
    is_cleared: bool,
    moods: list[str],
    script: list[tuple[Any, ...]],
) -> None:
    theatre = Watched(policy, mode, count, random.Random(seed).random, is_cleared=is_cleared)
    theatre.waits = random.Random(seed)
    for number, mood in enumerate(moods):
        theatre.act_mood(number, mood)
    for act in script:
        theatre.play(act)
    for _ in range(3):
        theatre.act_wait()


def looks_until_stuck(pulse: Pulse, policy: Policy, *, moves: bool) -> float:
    """Seconds of looks after which it is called stuck; `moves`: it is given something each time."""
    for look in range(1, 100_000):
        pulse.turns += moves
        pulse.look()
        silence_s, claim_s = longest_silence_s(policy, PERMIT_S), longest_claim_s(policy, 2, 30)
        if pulse.is_stuck(EVERY_S, silence_s, claim_s):
            return look * EVERY_S
    raise AssertionError("never")


def test_an_agent_whose_timer_was_lost_is_found_within_a_minute() -> None:
    world = World()
    agent = world.agent()
    agent.start(world.now)
    assert not agent.is_idle
    assert 47 < looks_until_stuck(Pulse(), world.policy, moves=False) <= 60


def test_an_agent_that_moves_without_end_is_found_too() -> None:
    policy = Policy()
    assert looks_until_stuck(Pulse(), policy, moves=True) > longest_claim_s(policy, 2, PERMIT_S)


def test_a_longer_ladder_makes_a_longer_silence_legal() -> None:
    patient = Policy(retry_timeout=20_000, retry_max_count=5)
    assert longest_silence_s(patient, PERMIT_S) > 6 * 20


def test_a_process_that_was_stopped_has_not_looked_and_blames_nobody() -> None:
    pulse = Pulse()
    pulse.look()
    # An hour in which the process did not run is one look late, not an hour of stillness.
    pulse.look()
    assert not pulse.is_stuck(EVERY_S, longest_silence_s(Policy(), PERMIT_S), 10_000)


@pytest.mark.parametrize(("restarts", "rest"), [(0, 0), (1, 30), (2, 60), (3, 120), (7, 1800)])
def test_each_restart_in_a_row_is_followed_by_a_longer_rest(restarts: int, rest: float) -> None:
    assert rest_s(restarts) == rest


def test_a_rest_is_never_longer_than_half_an_hour() -> None:
    assert max(rest_s(n) for n in range(10_000)) == LONGEST_REST_S
