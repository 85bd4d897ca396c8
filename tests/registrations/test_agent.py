"""The agent against scripted registrars in virtual time: what is sent, shown, kept and recorded."""

import json

import pytest

from registrations.intervals import RENEWAL_MARGIN_S
from registrations.values import FailBackMode, GroupMode, Policy
from tests.support.virtual import START, World, header

FALLBACK = GroupMode.FALLBACK


def cseqs(world: World, number: int) -> list[int]:
    return [int(header(data, "CSeq").split()[0]) for data in world.registrars[number - 1].seen]


def moves(world: World) -> list[tuple[str, str, str]]:
    assert world.result is not None
    return [(m.from_state, m.to_state, m.cause) for m in world.result.transitions]


def test_first_arrival_on_the_primary_is_one_transition() -> None:
    world = World()
    result = world.claim()
    assert (result.state, result.server_id) == ("primary", 1)
    assert moves(world) == [("registering", "primary", "first")]
    assert result.expires_at == START + 3600
    assert result.due_at == START + 3540
    assert (result.code, result.answer) == (200, "200 OK")
    assert world.seen(2) == 0


def test_a_renewal_changes_nothing_and_is_counted() -> None:
    world = World()
    world.claim()
    result = world.wait()
    assert moves(world) == []
    assert len(result.renewed) == 1
    assert result.since == START
    assert cseqs(world, 1) == [1, 2, 3]


def test_snapshot_is_json_and_holds_no_password() -> None:
    world = World()
    kept = json.dumps(world.claim().snapshot)
    assert "pw-4101" not in kept


def test_a_dead_primary_is_left_at_once_at_the_renewal() -> None:
    world = World()
    world.claim()
    world.registrars[0].mood = "dead"
    result = world.wait()
    assert (result.state, result.server_id) == ("secondary", 2)
    assert moves(world) == [("primary", "secondary", "failover")]
    assert result.transitions[0].seconds == pytest.approx(0.0)
    assert result.reason == (
        "Server 1 could not be reached: port unreachable. Server 2 took the registration."
    )
    assert [(h.server_id, h.answered) for h in result.heard] == [(1, False), (2, True)]


def test_a_silent_primary_costs_the_ladder_and_the_transition_says_so() -> None:
    world = World()
    world.claim()
    world.registrars[0].mood = "silent"
    result = world.wait()
    assert result.state == "secondary"
    assert result.transitions[0].seconds == pytest.approx(7.5)
    assert world.seen(1) == 2 + 4


def test_a_failover_says_how_long_the_server_can_have_been_away_unnoticed() -> None:
    world = World()
    world.claim()
    world.wait()
    world.registrars[0].mood = "silent"
    noticed = world.wait().transitions[0]
    # Renewed every 3540 s: it may have gone right after the last renewal.
    assert noticed.detect_seconds == pytest.approx(3540)
    world.registrars[0].mood = "ok"
    [back] = world.wait("failback").transitions
    assert (back.cause, back.detect_seconds) == ("forced_failback", None)


def test_no_expires_zero_is_ever_sent_on_failover_and_failback() -> None:
    world = World()
    world.claim()
    world.registrars[0].mood = "dead"
    world.wait()
    world.registrars[0].mood = "ok"
    world.wait("failback")
    sent = [d for r in world.registrars for d in r.seen]
    assert sent and all(header(data, "Expires") == "3600" for data in sent)


def test_one_call_id_and_growing_cseq_over_the_servers_of_a_failover_group() -> None:
    world = World()
    world.claim()
    world.registrars[0].mood = "dead"
    world.wait()
    sent = [*world.registrars[0].seen, *world.registrars[1].seen]
    assert len({header(data, "Call-ID") for data in sent}) == 1
    assert cseqs(world, 1) + cseqs(world, 2) == [1, 2, 3, 4, 5]


def test_it_comes_home_at_its_renewal_in_registration_mode() -> None:
    world = World(Policy(expires=60, expires_overlap=5))
    world.registrars[0].mood = "dead"
    assert world.claim().state == "secondary"
    world.registrars[0].mood = "ok"
    result = world.wait()
    assert (result.state, moves(world)) == ("primary", [("secondary", "primary", "failback")])
    assert world.now <= START + 60 - 7.5 - RENEWAL_MARGIN_S


def test_while_the_primary_is_silent_the_secondarys_binding_never_lapses() -> None:
    world = World(Policy(expires=30, expires_overlap=5))
    world.registrars[0].mood = "silent"
    world.claim()
    for _ in range(20):
        assert world.result is not None and world.result.expires_at is not None
        ends = world.result.expires_at
        assert world.wait().state == "secondary"
        assert world.now < ends


def test_duration_failback_after_its_time() -> None:
    world = World(Policy(fail_back_mode=FailBackMode.DURATION, fail_back_timeout=120))
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = "ok"
    assert world.wait().state == "primary"
    assert world.now == START + 120


def test_forced_failback_is_recorded_as_asked_for() -> None:
    world = World()
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = "ok"
    world.now += 10
    result = world.claim("failback")
    assert moves(world) == [("secondary", "primary", "forced_failback")]
    assert result.wish_result is not None and result.wish_result.result == "moved"


def test_forced_failback_of_one_already_home_says_so() -> None:
    world = World()
    world.claim()
    result = world.claim("failback")
    assert result.wish_result is not None and result.wish_result.result == "already_there"
    assert world.seen(1) == 2


@pytest.mark.parametrize(
    ("mood", "told"), [("403 Forbidden", "refused"), ("dead", "failed"), ("500 Oops", "failed")]
)
def test_forced_failback_the_primary_does_not_take_stays_on_the_secondary(
    mood: str, told: str
) -> None:
    world = World()
    world.registrars[0].mood = "dead"
    bound = world.claim()
    world.registrars[0].mood = mood
    world.now += 10
    result = world.claim("failback")
    assert (result.state, result.server_id) == ("secondary", 2)
    assert result.expires_at == bound.expires_at
    assert result.wish_result is not None and result.wish_result.result == told
    assert moves(world) == []


def test_a_wrong_password_is_rejected_and_no_other_server_is_asked() -> None:
    world = World()
    world.registrars[0].mood = "403 Forbidden"
    result = world.claim()
    assert (result.state, result.server_id) == ("rejected", None)
    assert "403 Forbidden" in result.reason
    assert world.seen(2) == 0
    assert 30 <= result.due_at - START <= 60
    assert moves(world) == [("registering", "rejected", "refused")]


def test_resume_asks_again_at_once_and_recovers() -> None:
    world = World()
    world.registrars[0].mood = "403 Forbidden"
    world.claim()
    world.registrars[0].mood = "ok"
    assert world.claim("resume").state == "primary"
    assert moves(world) == [("rejected", "primary", "restored")]


def test_a_line_no_server_answers_is_unregistered_and_retries() -> None:
    world = World()
    for registrar in world.registrars:
        registrar.mood = "silent"
    result = world.claim()
    assert (result.state, result.server_id, result.attempt) == ("unregistered", None, 1)
    assert world.now == START + 7.5 + 32
    assert 30 <= result.due_at - world.now <= 60
    world.registrars[1].mood = "ok"
    assert world.wait().state == "secondary"


def test_a_binding_that_ran_out_unwatched_becomes_unknown_from_then_on() -> None:
    world = World()
    bound = world.claim()
    world.now = START + 9000
    result = world.claim()
    assert result.state == "primary"
    assert moves(world) == [("primary", "unknown", "gap"), ("unknown", "primary", "restored")]
    assert result.transitions[0].at == bound.expires_at


def test_a_lost_lease_leaves_a_gap_in_cseq() -> None:
    world = World()
    world.claim()
    world.lease_gap = 100
    world.wait()
    assert cseqs(world, 1) == [1, 2, 103]


def test_a_registrar_that_restarted_with_an_empty_table_and_new_nonces_rejects_nobody() -> None:
    world = World()
    world.claim()
    world.registrars[0].bindings.clear()
    world.registrars[0].mood = "ok"
    result = world.wait()
    assert result.state == "primary" and len(world.registrars[0].bindings) == 1


def test_a_permit_beyond_the_lease_postpones_the_same_try() -> None:
    world = World()
    agent = world.agent()
    agent.start(world.now)
    (want,) = agent.decide().wants
    agent.postpone(want.key, world.now + 90, world.now)
    assert agent.is_idle
    result = agent.result()
    assert result.due_at == world.now + 90
    assert (world.seen(1), result.transitions) == (0, ())
    world.result, world.snapshot = result, result.snapshot
    assert world.wait().state == "primary"
    assert world.now == START + 90


def test_who_came_out_of_the_unknown_and_waits_for_a_permit_is_registering() -> None:
    world = World()
    world.claim()
    world.now = START + 9000
    agent = world.agent()
    agent.start(world.now)
    (want,) = agent.decide().wants
    agent.postpone(want.key, world.now + 90, world.now)
    result = agent.result()
    assert [(m.from_state, m.to_state) for m in result.transitions] == [
        ("primary", "unknown"),
        ("unknown", "registering"),
    ]
    assert (result.state, result.reason) == ("registering", "Waits for its turn to register.")
    assert result.snapshot["standing"]["state"] == "registering"


def test_a_postponed_failback_wish_is_not_lost() -> None:
    world = World()
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = "ok"
    agent = world.agent()
    agent.start(world.now, "failback")
    (want,) = agent.decide().wants
    agent.postpone(want.key, world.now + 90, world.now)
    result = agent.result()
    assert (result.state, result.wish_result) == ("secondary", None)
    world.result, world.snapshot = result, result.snapshot
    done = world.wait("failback")
    assert done.wish_result is not None and done.wish_result.result == "moved"


def test_a_changed_server_list_starts_over_without_its_server() -> None:
    world = World(servers=3)
    world.registrars[0].mood = "dead"
    world.claim()
    del world.registrars[1]
    world.registrars[0].mood = "ok"
    result = world.claim()
    assert result.state == "primary"
    assert moves(world)[0] == ("secondary", "registering", "changed")


def test_an_answer_from_elsewhere_changes_nothing() -> None:
    world = World()
    agent = world.agent()
    agent.start(world.now)
    for want in agent.decide().wants:
        agent.grant(want.key, world.now)
    ((_target, data),) = agent.decide().datagrams
    forged = world.registrars[0].answer(data, world.now)
    assert forged is not None
    agent.receive(forged, ("127.0.0.99", 5060), world.now)
    agent.receive(b"\x00garbage", ("127.0.0.2", 5060), world.now)
    assert not agent.is_idle and agent.decide().wants == ()


def test_fallback_group_registers_with_every_entry_at_boot() -> None:
    world = World(mode=FALLBACK)
    result = world.claim()
    assert (result.state, result.server_id) == ("primary", 1)
    assert (world.seen(1), world.seen(2)) == (2, 2)
    call_ids = {header(r.seen[0], "Call-ID") for r in world.registrars}
    assert len(call_ids) == 2


def test_fallback_entry_1_fails_and_2_works_without_a_new_register_to_2() -> None:
    world = World(mode=FALLBACK)
    world.claim()
    world.registrars[0].mood = "dead"
    world.registrars[1].seen.clear()
    world.now = START + 3540
    agent_result = world.claim()
    assert (agent_result.state, agent_result.server_id) == ("fallback", 2)
    assert moves(world)[-1] == ("primary", "fallback", "fallback")


def test_fallback_entry_1_returns_and_works_at_once() -> None:
    world = World(mode=FALLBACK)
    world.registrars[0].mood = "dead"
    assert world.claim().state == "fallback"
    world.registrars[0].mood = "ok"
    world.registrars[1].seen.clear()
    result = world.wait()
    assert START + 30 <= world.now <= START + 60
    assert (result.state, world.seen(2)) == ("primary", 0)
    assert moves(world) == [("fallback", "primary", "failback")]


def test_forced_failback_in_a_fallback_group_asks_entry_1_now() -> None:
    world = World(mode=FALLBACK)
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = "ok"
    result = world.claim("failback")
    assert result.state == "primary" and world.now == START
    assert result.wish_result is not None and result.wish_result.result == "moved"


def test_an_entry_with_register_off_is_never_registered() -> None:
    world = World(mode=FALLBACK, registers={2: False})
    world.registrars[0].mood = "dead"
    assert world.claim().state == "unregistered"
    assert world.seen(2) == 0


def test_a_group_without_a_registering_server_is_refused() -> None:
    with pytest.raises(ValueError, match="takes registrations"):
        World(registers={1: False, 2: False}).agent()


def test_a_fallback_entry_that_refuses_does_not_reject_the_line() -> None:
    world = World(mode=FALLBACK)
    world.registrars[1].mood = "403 Forbidden"
    result = world.claim()
    assert result.state == "primary"


def test_a_fallback_line_refused_by_all_entries_is_rejected() -> None:
    world = World(mode=FALLBACK)
    for registrar in world.registrars:
        registrar.mood = "403 Forbidden"
    assert world.claim().state == "rejected"
    assert moves(world) == [("registering", "rejected", "refused")]
