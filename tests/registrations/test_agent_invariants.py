"""Whatever happens: random networks, clocks, crashes and operators against the invariants.

Bounded in CI; `make fuzz` runs the same at length (HYPOTHESIS_PROFILE=long).
"""

import random
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from registrations.values import FailBackMode, GroupMode, ListScope, OnMassRejection, Policy
from tests.support import fuzzing
from tests.support.theatre import MOODS, Theatre, recovered

PROFILE = fuzzing.examples(150, at_length=20_000)

LONGEST_RECOVERY_S = 3600 + 1800 + 120
"""A Retry-After or a renewal to come, a refusal's longest back-off, a round."""

policies = st.builds(
    Policy,
    expires=st.sampled_from([60, 600, 3600]),
    expires_overlap=st.sampled_from([5, 60]),
    retry_timeout=st.sampled_from([0, 500]),
    register_retry_base=st.sampled_from([10, 60]),
    register_retry_max=st.sampled_from([60, 1800]),
    re_register_on=st.booleans(),
    fail_registration_on=st.booleans(),
    fail_back_mode=st.sampled_from(FailBackMode),
    fail_back_timeout=st.sampled_from([0, 60, 600]),
    fast_failover=st.booleans(),
    failover_on_503=st.booleans(),
    failover_on_408=st.booleans(),
    retry_waits_after_last=st.booleans(),
    register_list_scope=st.sampled_from(ListScope),
    on_mass_rejection=st.sampled_from(OnMassRejection),
)
numbers = st.integers(0, 2)
servers = st.sets(st.integers(1, 3), max_size=2)
waits = st.just(("wait",))
acts = st.one_of(
    waits,
    waits,
    waits,
    st.tuples(st.just("mood"), numbers, st.sampled_from(MOODS)),
    st.tuples(st.just("mood"), numbers, st.sampled_from(MOODS)),
    st.tuples(
        st.just("early"),
        st.floats(0, 4000),
        st.sampled_from(["", "failback", "drain", "rollback", "resume", "override"]),
    ),
    st.tuples(st.just("jump"), st.sampled_from([-30.0, -2.0, 1.0, 45.0, 3000.0, 90_000.0])),
    st.tuples(st.just("forget"), numbers),
    st.tuples(st.just("foreign"), numbers, st.booleans()),
    st.tuples(st.just("news"), servers, servers, servers),
    st.tuples(st.just("window"), servers, st.sampled_from([0.0, 50.0, 5000.0])),
    st.tuples(st.just("names"), st.integers(0, 3)),
    st.tuples(st.just("crash"), st.integers(0, 12)),
    st.tuples(st.just("postpone"), st.floats(0, 200)),
)


def staged(mode: GroupMode, policy: Policy, count: int, seed: int, *, is_cleared: bool) -> Theatre:
    theatre = Theatre(policy, mode, count, random.Random(seed).random, is_cleared=is_cleared)
    for registrar in theatre.registrars:
        registrar.grants = None
    return theatre


@settings(PROFILE)
@given(
    mode=st.sampled_from(GroupMode),
    policy=policies,
    count=st.integers(1, 3),
    seed=st.integers(0, 1000),
    is_cleared=st.booleans(),
    script=st.lists(acts, max_size=25),
)
def test_whatever_happens_the_invariants_hold_and_a_well_server_is_found_again(
    mode: GroupMode,
    policy: Policy,
    count: int,
    seed: int,
    is_cleared: bool,
    script: list[tuple[Any, ...]],
) -> None:
    theatre = staged(mode, policy, count, seed, is_cleared=is_cleared)
    for act in script:
        theatre.play(act)
    took = recovered(theatre)
    note(f"recovered in {took:.0f} s")
    assert took <= LONGEST_RECOVERY_S


@settings(PROFILE)
@given(
    policy=policies,
    seed=st.integers(0, 1000),
    moods=st.lists(st.sampled_from(MOODS), min_size=1, max_size=12),
)
def test_while_the_secondary_takes_it_its_binding_never_lapses_whatever_the_primary_does(
    policy: Policy, seed: int, moods: list[str]
) -> None:
    theatre = staged(GroupMode.FAILOVER, policy, 2, seed, is_cleared=True)
    theatre.registrars[0].mood = "dead"
    theatre.act_wait()
    assert theatre.result is not None and theatre.result.state == "secondary"
    for mood in moods:
        theatre.registrars[0].mood = mood
        ends = theatre.result.expires_at or 0.0
        theatre.act_wait()
        assert theatre.result.state in ("primary", "secondary")
        if theatre.result.state == "primary":
            return
        assert max(theatre.registrars[1].bindings.values()) > theatre.now
        renewed_at = [heard.at for heard in theatre.result.heard if heard.server_id == 2]
        assert min(renewed_at, default=theatre.now) < ends
