"""S6, F4: a target that asked for quiet gets nothing, and its handsets go to the next one."""

import pytest

from registrations.agent import Agent
from registrations.values import News, Policy
from tests.support.virtual import World, place


def paused(world: World, wish: str = "", **pauses: float) -> Agent:
    """An agent under way whose permits for these servers are refused until then."""
    until = {int(name.removeprefix("s")): at for name, at in pauses.items()}
    agent = world.agent()
    agent.start(world.now, wish, world.news)
    while not agent.is_idle:
        world.ask(agent)
        wants, world.wants = world.wants, []
        for want in wants:
            if until.get(want.server_id, 0.0) > world.now:
                agent.pause(want.key, until[want.server_id], world.now)
            else:
                agent.grant(want.key, world.now)
        if not wants:
            world.drive_once(agent)
    world.result = agent.result()
    world.snapshot = world.result.snapshot
    return agent


@pytest.fixture
def world() -> World:
    return World(policy=Policy(re_register_on=True, expires=600))


def test_a_handset_whose_server_is_paused_goes_to_the_next_one(world: World) -> None:
    agent = paused(world, s1=world.now + 90)
    assert (agent.result().state, agent.result().server_id) == ("secondary", 2)
    assert world.seen(1) == 0
    assert "asked to be left alone for 90 s more" in agent.result().reason


def test_a_pause_heard_of_says_nothing_new_about_the_server(world: World) -> None:
    agent = paused(world, s1=world.now + 90)
    assert [each.server_id for each in agent.result().heard] == [2]
    assert agent.decide().pauses == {}


def test_a_pause_asked_of_this_handset_is_told_to_all(world: World) -> None:
    world.registrars[0].mood, world.registrars[0].extra = "503 Busy", "Retry-After: 120\r\n"
    began = world.now
    agent = paused(world)
    assert agent.decide().pauses == {(1, place(1)): pytest.approx(began + 120, abs=1)}
    assert agent.result().server_id == 2


def test_a_renewal_at_a_paused_server_moves_rather_than_lapses(world: World) -> None:
    world.claim()
    expires_at = world.result.expires_at if world.result else 0.0
    assert expires_at
    world.now = world.result.due_at if world.result else 0.0
    agent = paused(world, s1=expires_at + 60)
    assert (agent.result().state, agent.result().server_id) == ("secondary", 2)
    assert agent.result().expires_at > expires_at  # type: ignore[operator]


def test_who_waits_for_a_permit_across_claims_is_not_held_by_a_pause(world: World) -> None:
    """The permit lay beyond the lease; then the server asked for quiet."""
    world.claim()
    assert world.result is not None
    world.now = world.result.due_at
    agent = world.agent()
    agent.start(world.now, "", News())
    [want] = agent.decide().wants
    agent.postpone(want.key, world.now + 5, world.now)
    world.snapshot = agent.result().snapshot
    world.now += 5
    agent = paused(world, s1=world.now + 600)
    assert agent.result().server_id == 2


def test_an_order_home_to_a_paused_primary_fails_and_says_why(world: World) -> None:
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = "ok"
    asked = world.seen(1)
    agent = paused(world, "failback", s1=world.now + 30)
    result = agent.result().wish_result
    assert result is not None
    assert result.result == "failed"
    assert "asked to be left alone for 30 s more" in result.reason
    assert (agent.result().server_id, world.seen(1)) == (2, asked)


def test_where_all_are_paused_nothing_is_sent_until_the_first_is_free(world: World) -> None:
    agent = paused(world, s1=world.now + 300, s2=world.now + 200)
    assert agent.result().state == "unregistered"
    assert agent.result().due_at >= world.now + 200
    assert (world.seen(1), world.seen(2)) == (0, 0)


def test_a_503_of_the_only_server_drops_no_registration_while_it_lasts() -> None:
    world = World(policy=Policy(expires=600), servers=1)
    world.claim()
    held_until = world.result.expires_at if world.result else None
    world.registrars[0].mood, world.registrars[0].extra = "503 Busy", "Retry-After: 5\r\n"
    result = world.wait()
    assert (result.state, result.expires_at) == ("primary", held_until)
    assert result.due_at > world.now + 5, "not before its Retry-After"
    world.registrars[0].mood = "ok"
    assert world.wait().expires_at > held_until  # type: ignore[operator]


def test_a_503_of_all_servers_drops_no_registration_while_it_lasts() -> None:
    world = World(policy=Policy(re_register_on=True, expires=600))
    world.claim()
    for registrar in world.registrars:
        registrar.mood, registrar.extra = "503 Busy", "Retry-After: 20\r\n"
    result = world.wait()
    assert (result.state, result.server_id, world.seen(2)) == ("primary", 1, 1)


def test_a_registration_that_runs_out_in_its_servers_pause_is_lost_and_was_watched() -> None:
    world = World(policy=Policy(expires=600), servers=1)
    world.claim()
    world.registrars[0].mood, world.registrars[0].extra = "503 Busy", "Retry-After: 900\r\n"
    causes = []
    while world.result is not None and world.result.state == "primary":
        causes += [moved.cause for moved in world.wait().transitions]
    assert world.result is not None and world.result.state == "unregistered"
    assert causes == ["lost"]
    assert "before a server may be asked again" in world.result.reason


def test_in_its_last_seconds_too_a_registration_stands_to_its_end() -> None:
    """Its server is paused, the other is dead: what is held is held until it runs out."""
    world = World(policy=Policy(re_register_on=True, expires=60, expires_overlap=5))
    world.claim()
    ends = world.result.expires_at if world.result else None
    assert ends is not None
    world.registrars[0].mood, world.registrars[0].extra = "503 Busy", "Retry-After: 90\r\n"
    world.registrars[1].mood = "dead"
    while world.result is not None and world.result.state == "primary":
        world.wait()
    assert world.now >= ends
