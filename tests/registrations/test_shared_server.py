"""One machine that is a server of two groups: the network's word about it holds for both."""

from dataclasses import replace

import pytest

from tests.support.virtual import START, World


@pytest.mark.parametrize("named", [True, False])
def test_an_error_of_the_place_counts_whichever_group_first_sent_there(named: bool) -> None:
    world = World()
    agent = world.agent()
    agent.start(START)
    (want,) = agent.decide().wants
    agent.grant(want.key, START)
    (branch,) = agent.decide().branches
    # Sockets are shared by place, so the error may name another group's server there.
    elsewhere = replace(world.registrars[0].target, server_id=77)
    agent.transport_failed(elsewhere, branch if named else None, "Connection refused", START)
    assert [want.server_id for want in agent.decide().wants] == [2]


def test_an_error_of_another_place_changes_nothing() -> None:
    world = World()
    agent = world.agent()
    agent.start(START)
    (want,) = agent.decide().wants
    agent.grant(want.key, START)
    agent.transport_failed(world.registrars[1].target, None, "Connection refused", START)
    decision = agent.decide()
    assert decision.wants == ()
    assert decision.branches
