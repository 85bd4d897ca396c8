"""Orders that move a line, and orders that it stay: the whole agent in virtual time."""

from dataclasses import replace

import pytest

from registrations.values import FailBackMode, GroupMode, News, Policy
from tests.support.virtual import START, World, header

FALLBACK = GroupMode.FALLBACK
HOUR = 3600.0
DRAINED = News(drained={1: START + HOUR})
MODES = [
    Policy(fail_back_mode=FailBackMode.REGISTRATION),
    Policy(fail_back_mode=FailBackMode.NEW_REQUESTS),
    Policy(fail_back_mode=FailBackMode.DURATION, fail_back_timeout=60),
]


def at_home(policy: Policy | None = None, servers: int = 2, mode: str = "failover") -> World:
    world = World(policy or Policy(), servers=servers, mode=GroupMode(mode))
    world.claim()
    for registrar in world.registrars:
        registrar.seen.clear()
    return world


def on_secondary(policy: Policy, servers: int = 2) -> World:
    world = World(policy, servers=servers)
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = "ok"
    world.registrars[0].seen.clear()
    return world


def removals(world: World) -> list[bytes]:
    sent = [data for registrar in world.registrars for data in registrar.seen]
    return [data for data in sent if header(data, "Expires") == "0"]


# ---- Away -------------------------------------------------------------------------------------


def test_a_drained_server_is_left_for_the_next_one_without_a_word_to_it() -> None:
    world = at_home()
    world.news = DRAINED
    result = world.claim("drain")
    assert (result.state, result.server_id) == ("secondary", 2)
    assert result.wish_result is not None
    assert (result.wish_result.result, result.wish_result.reason) == ("moved", "Server 2 took it.")
    assert result.transitions[-1].cause == "moved_away"
    assert world.seen(1) == 0
    assert removals(world) == []


@pytest.mark.parametrize(
    ("mood", "word"),
    [("dead", "failed"), ("silent", "failed"), ("403 Forbidden", "refused"), ("500 No", "failed")],
)
def test_whom_nobody_else_takes_stays_bound_where_it_is(mood: str, word: str) -> None:
    world = at_home()
    world.news = DRAINED
    world.registrars[1].mood = mood
    before = world.result
    result = world.claim("drain")
    assert (result.state, result.server_id) == ("primary", 1)
    assert result.wish_result is not None
    assert result.wish_result.result == word
    assert result.wish_result.reason
    assert before is not None
    assert result.expires_at == before.expires_at
    assert result.transitions == ()


def test_a_server_that_does_not_take_it_is_followed_by_the_next() -> None:
    world = at_home(servers=3)
    world.news = DRAINED
    world.registrars[1].mood = "403 Forbidden"
    result = world.claim("drain")
    assert (result.state, result.server_id) == ("secondary", 3)
    assert result.wish_result is not None and result.wish_result.result == "moved"


def test_another_drained_server_is_passed_over() -> None:
    world = at_home(servers=3)
    world.news = News(drained={1: START + HOUR, 2: START + HOUR})
    assert world.claim("drain").server_id == 3


def test_an_order_close_to_the_end_of_its_binding_renews_it_where_nobody_else_takes_it() -> None:
    world = at_home()
    world.now = START + 3599.0
    world.news = replace(DRAINED, drained={1: world.now + HOUR})
    world.registrars[1].mood = "silent"
    result = world.claim("drain")
    assert (result.state, result.server_id) == ("primary", 1)
    assert (result.expires_at or 0) > world.now + 3000


def test_who_is_not_on_the_drained_server_is_not_moved() -> None:
    world = on_secondary(Policy())
    world.news = DRAINED
    result = world.claim("drain")
    assert result.server_id == 2
    assert result.wish_result is not None and result.wish_result.result == "already_there"


def test_a_rollback_goes_to_the_next_server_and_only_from_the_primary() -> None:
    world = at_home()
    world.news = News(stays_until=START + HOUR)
    result = world.claim("rollback")
    assert (result.state, result.server_id) == ("secondary", 2)
    assert removals(world) == []
    again = world.claim("rollback")
    assert again.server_id == 2
    assert again.wish_result is not None and again.wish_result.result == "already_there"


def test_a_line_without_a_binding_has_nothing_to_leave() -> None:
    world = World()
    for registrar in world.registrars:
        registrar.mood = "dead"
    world.claim()
    world.news = DRAINED
    result = world.claim("drain")
    assert result.wish_result is not None and result.wish_result.result == "already_there"


# ---- Fallback groups --------------------------------------------------------------------------


def test_a_drained_entry_is_left_to_run_out_and_the_next_one_works_at_once() -> None:
    world = at_home(mode="fallback")
    world.news = DRAINED
    result = world.claim("drain")
    assert (result.state, result.server_id) == ("fallback", 2)
    assert result.wish_result is not None and result.wish_result.result == "moved"
    assert result.transitions[-1].cause == "moved_away"
    assert (world.seen(1), world.seen(2)) == (0, 0)
    world.wait()
    assert world.seen(1) == 0, "the drained entry was asked again"


def test_after_the_drain_its_entry_registers_again() -> None:
    world = at_home(mode="fallback")
    world.news = DRAINED
    world.claim("drain")
    world.news = News()
    result = world.claim("failback")
    assert (result.state, result.server_id) == ("primary", 1)
    assert result.wish_result is not None and result.wish_result.result == "moved"


def test_an_entry_is_not_left_before_another_one_holds_the_line() -> None:
    world = World(mode=FALLBACK)
    world.registrars[1].mood = "403 Forbidden"
    world.claim()
    world.news = DRAINED
    result = world.claim("drain")
    assert (result.state, result.server_id) == ("primary", 1)
    assert result.wish_result is not None and result.wish_result.result == "failed"


def test_a_drained_entry_is_asked_again_when_no_other_works() -> None:
    world = at_home(mode="fallback")
    world.news = News(drained={1: START + 100 * HOUR})
    world.claim("drain")
    world.registrars[1].mood = "dead"
    world.wait()
    world.wait()
    assert world.result is not None and world.result.server_id == 1


# ---- Staying ----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", MODES, ids=lambda policy: policy.fail_back_mode.value)
def test_nobody_goes_home_by_itself_while_that_is_held(policy: Policy) -> None:
    world = on_secondary(policy)
    world.news = News(stays_until=START + 3 * HOUR)
    while world.now < START + 2 * HOUR:
        assert world.wait().server_id == 2
    assert world.seen(1) == 0
    world.news = News()
    while world.now < START + 5 * HOUR and world.result and world.result.server_id == 2:
        world.wait()
    assert world.result is not None
    assert (world.result.server_id, world.result.cause) == (1, "failback")


@pytest.mark.parametrize("policy", MODES, ids=lambda policy: policy.fail_back_mode.value)
def test_nobody_goes_back_by_itself_to_a_server_that_is_drained(policy: Policy) -> None:
    world = on_secondary(policy)
    world.news = News(drained={1: START + 10 * HOUR})
    for _ in range(4):
        assert world.wait().server_id == 2
    assert world.seen(1) == 0


def test_an_order_brings_home_whoever_is_held() -> None:
    world = on_secondary(Policy())
    world.news = News(stays_until=START + HOUR, drained={1: START + HOUR})
    result = world.claim("failback")
    assert (result.server_id, result.cause) == (1, "forced_failback")


def test_failing_over_to_the_primary_is_no_failback_and_is_never_held() -> None:
    world = on_secondary(Policy())
    world.news = News(stays_until=START + 3 * HOUR)
    world.registrars[1].mood = "dead"
    assert world.wait().server_id == 1


def test_a_drained_server_is_the_last_resort() -> None:
    world = on_secondary(Policy(), servers=3)
    world.news = News(drained={1: START + 3 * HOUR})
    world.registrars[1].mood = "dead"
    assert world.wait().server_id == 3
    world.registrars[2].mood = "dead"
    assert world.wait().server_id == 1


def test_who_starts_during_a_drain_starts_elsewhere() -> None:
    world = World(news=DRAINED)
    assert world.claim().server_id == 2
    fallback = World(news=DRAINED, mode=FALLBACK)
    result = fallback.claim()
    assert (result.state, result.server_id) == ("fallback", 2)


def test_a_fallback_entry_waits_too() -> None:
    world = World(mode=FALLBACK)
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = "ok"
    world.registrars[0].seen.clear()
    world.news = News(stays_until=START + 2 * HOUR)
    assert world.wait().server_id == 2
    assert world.seen(1) == 0
    world.news = News()
    world.now = START + 2 * HOUR
    assert world.claim().server_id == 1
