"""Why is it there: the explanation follows from what the agent kept, in every resting state."""

from registrations.explaining import WaitsFor, explain
from registrations.values import FailBackMode, GroupMode, News, Policy
from tests.support.virtual import START, World, place


def why(world: World):  # type: ignore[no-untyped-def]
    explained = explain(world.snapshot, world.policy)
    assert explained is not None and world.result is not None
    assert explained.bindings[0].next_at == world.result.due_at or len(explained.bindings) > 1
    return explained


def away(policy: Policy) -> World:
    world = World(policy)
    world.registrars[0].mood = "dead"
    world.claim()
    return world


def test_a_line_no_agent_has_run_for_has_no_explanation() -> None:
    assert explain({}, Policy()) is None


def test_on_primary_it_waits_for_its_renewal_there() -> None:
    world = World()
    world.claim()
    (binding,) = why(world).bindings
    assert (binding.waits_for, binding.server_id, binding.next_server_id) == (
        WaitsFor.RENEWAL, 1, 1,
    )  # fmt: skip
    assert binding.next_at == START + 3540


def test_on_secondary_in_registration_mode_the_renewal_goes_to_the_primary_first() -> None:
    (binding,) = why(away(Policy())).bindings
    assert (binding.waits_for, binding.server_id, binding.next_server_id) == (
        WaitsFor.PRIMARY_AT_RENEWAL, 2, 1,
    )  # fmt: skip


def test_on_secondary_in_duration_mode_it_waits_for_the_timeout() -> None:
    policy = Policy(fail_back_mode=FailBackMode.DURATION, fail_back_timeout=120)
    (binding,) = why(away(policy)).bindings
    assert (binding.waits_for, binding.next_at) == (WaitsFor.FAILBACK_TIMEOUT, START + 120)
    assert not binding.never_comes_home_by_time


def test_duration_zero_says_that_no_timer_brings_it_home() -> None:
    policy = Policy(fail_back_mode=FailBackMode.DURATION, fail_back_timeout=0)
    (binding,) = why(away(policy)).bindings
    assert (binding.waits_for, binding.never_comes_home_by_time) == (WaitsFor.RENEWAL, True)


def test_refused_it_says_by_whom_and_when_it_is_asked_again() -> None:
    world = World()
    world.registrars[0].mood = "403 Forbidden"
    world.claim()
    explained = why(world)
    assert explained.bindings[0].waits_for is WaitsFor.REFUSAL_BACK_OFF
    assert [(a.server_id, a.answer) for a in explained.answers] == [(1, "403 Forbidden")]


def test_unregistered_it_waits_for_its_back_off_and_starts_at_the_top() -> None:
    world = away(Policy())
    world.registrars[1].mood = "dead"
    world.wait()
    (binding,) = why(world).bindings
    assert (binding.waits_for, binding.next_server_id) == (WaitsFor.BACK_OFF, 1)


def test_held_back_it_waits_for_the_other_contact_to_go() -> None:
    world = World(is_cleared=False)
    world.registrars[0].foreign = "sip:4101@10.0.0.9"
    world.claim()
    explained = why(world)
    assert explained.state == "held"
    assert explained.bindings[0].waits_for is WaitsFor.OTHER_CONTACT_GONE


def test_the_last_answer_of_every_server_is_kept() -> None:
    explained = why(away(Policy()))
    assert {(a.server_id, a.verdict) for a in explained.answers} == {
        (1, "unreachable"),
        (2, "bound"),
    }


def test_a_paused_server_is_left_alone_until_its_time() -> None:
    world = World()
    world.claim()
    world.news = News(paused={place(1): START + 3550.0})
    world.wait()
    (binding,) = why(world).bindings
    assert (binding.waits_for, binding.next_at) == (WaitsFor.PAUSE_END, START + 3550)
    assert [(x.server_id, x.until) for x in binding.left_alone] == [(1, START + 3550)]


def test_each_entry_of_a_fallback_group_is_explained() -> None:
    world = World(mode=GroupMode.FALLBACK)
    world.registrars[0].mood = "dead"
    world.claim()
    waits = [binding.waits_for for binding in why(world).bindings]
    assert waits == [WaitsFor.BACK_OFF, WaitsFor.RENEWAL]
