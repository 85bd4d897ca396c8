"""The agent and what it is told: who else is bound, what the fleet knows, what DNS says."""

import json
from dataclasses import replace

import pytest

from registrations.keeping import Entry
from registrations.values import (
    FailBackMode,
    GroupMode,
    News,
    OnMassRejection,
    Policy,
    Target,
)
from tests.support.virtual import START, World, header, place

FALLBACK = GroupMode.FALLBACK
FOREIGN = "sip:4101@192.0.2.66:5060"
FAST = Policy(fast_failover=True, re_register_on=True)


def moves(world: World) -> list[tuple[str, str, str]]:
    assert world.result is not None
    return [(m.from_state, m.to_state, m.cause) for m in world.result.transitions]


def binds(world: World, number: int) -> list[bytes]:
    """The requests that ask that server for a binding, not those that only ask who is bound."""
    return [data for data in world.registrars[number - 1].seen if header(data, "Contact")]


def bound(policy: Policy, servers: int = 2, mode: GroupMode = GroupMode.FAILOVER) -> World:
    world = World(policy, mode=mode, servers=servers)
    world.claim()
    for registrar in world.registrars:
        registrar.seen.clear()
    world.now += 100
    return world


# -- the guard of a first binding --------------------------------------------------------------


def test_a_line_never_bound_asks_first_and_binds_where_nobody_is() -> None:
    world = World(is_cleared=False)
    assert world.claim().state == "primary"
    first, *others = world.registrars[0].seen
    assert header(first, "Contact") == "" and header(first, "Expires") == ""
    assert any(header(data, "Contact") for data in others)


def test_a_line_bound_before_does_not_ask_again() -> None:
    world = World(is_cleared=False)
    world.claim()
    world.registrars[0].seen.clear()
    world.wait()
    assert len(binds(world, 1)) == world.seen(1) == 1


def test_somebody_elses_contact_holds_the_line_and_nothing_is_bound() -> None:
    world = World(is_cleared=False)
    world.registrars[0].foreign = FOREIGN
    result = world.claim()
    assert (result.state, result.server_id) == ("held", None)
    assert moves(world) == [("registering", "held", "held")]
    assert FOREIGN in result.reason
    assert binds(world, 1) == [] and world.seen(2) == 0
    assert 150 <= result.due_at - START <= 300


def test_a_held_line_binds_by_itself_once_the_other_is_gone() -> None:
    world = World(is_cleared=False)
    world.registrars[0].foreign = FOREIGN
    world.claim()
    assert world.wait().state == "held"
    world.registrars[0].foreign = ""
    assert world.wait().state == "primary"


def test_resume_asks_again_but_does_not_override() -> None:
    world = World(is_cleared=False)
    world.registrars[0].foreign = FOREIGN
    world.claim()
    assert world.claim("resume").state == "held"
    assert binds(world, 1) == []


def test_override_binds_although_somebody_else_is_bound_and_history_says_so() -> None:
    world = World(is_cleared=False)
    world.registrars[0].foreign = FOREIGN
    world.claim()
    assert world.claim("override").state == "primary"
    assert moves(world) == [("held", "primary", "overridden")]
    assert binds(world, 1)


def test_an_override_holds_for_the_line_not_for_one_claim() -> None:
    world = World(is_cleared=False)
    world.registrars[0].foreign = FOREIGN
    world.claim()
    world.claim("override")
    assert world.wait().state == "primary"


def test_a_foreign_contact_that_comes_later_does_not_drop_our_binding() -> None:
    world = bound(Policy())
    world.registrars[0].foreign = FOREIGN
    assert world.wait().state == "primary"


def test_the_guard_follows_the_round_to_the_second_server() -> None:
    world = World(is_cleared=False)
    world.registrars[0].mood = "dead"
    world.registrars[1].foreign = FOREIGN
    assert world.claim().state == "held"
    assert binds(world, 2) == []


def test_a_registrar_that_does_not_answer_who_is_bound_is_not_bound_at_by_guess() -> None:
    world = World(is_cleared=False)
    world.registrars[0].mood = "400 Bad Request"
    result = world.claim()
    assert result.state == "held"
    assert "does not say who is bound" in result.reason


def test_a_refusal_of_the_question_is_a_refusal() -> None:
    world = World(is_cleared=False)
    world.registrars[0].mood = "403 Forbidden"
    assert world.claim().state == "rejected"


# -- paused targets ------------------------------------------------------------------------------


def test_a_paused_server_is_passed_over_at_boot() -> None:
    world = World(news=News(paused={place(1): START + 120}))
    assert world.claim().server_id == 2
    assert world.seen(1) == 0


def test_a_paused_primary_is_not_tried_for_failback_before_its_pause_is_over() -> None:
    world = World(Policy(fail_back_mode=FailBackMode.DURATION, fail_back_timeout=60))
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = "ok"
    world.registrars[0].seen.clear()
    world.news = News(paused={place(1): START + 300})
    world.now = START + 60
    world.claim()
    assert world.seen(1) == 0
    assert world.wait().state == "primary"
    assert world.now == START + 300


def test_a_pause_that_ends_before_the_binding_is_waited_out_where_it_is() -> None:
    world = bound(Policy(expires=600))
    world.now = START + 540
    world.news = News(paused={place(1): START + 580})
    result = world.claim()
    assert (result.state, result.due_at) == ("primary", START + 580)
    assert world.seen(1) == world.seen(2) == 0
    assert world.wait().state == "primary"
    assert len(binds(world, 1)) == 1


def test_a_pause_that_outlasts_the_binding_moves_it_now() -> None:
    world = bound(Policy(expires=600))
    world.now = START + 540
    world.news = News(paused={place(1): START + 900})
    result = world.claim()
    assert (result.state, result.server_id, world.seen(1)) == ("secondary", 2, 0)


def test_with_every_server_paused_nothing_is_sent_and_the_first_to_end_is_waited_for() -> None:
    world = World(news=News(paused={place(1): START + 500, place(2): START + 200}))
    result = world.claim()
    assert (result.state, world.seen(1), world.seen(2)) == ("unregistered", 0, 0)
    assert result.due_at == START + 200
    assert "left alone" in result.reason
    assert world.wait().server_id == 2


# -- silent servers ------------------------------------------------------------------------------


def test_without_fast_failover_the_news_of_silence_moves_nobody() -> None:
    world = bound(Policy())
    world.registrars[0].mood = "silent"
    world.news = News(silent={1: world.now})
    result = world.claim()
    assert (result.state, world.seen(1), world.seen(2)) == ("primary", 0, 0)


def test_fast_failover_with_re_register_on_moves_at_once_without_asking_the_silent_server() -> None:
    world = bound(FAST)
    world.registrars[0].mood = "silent"
    world.news = News(silent={1: world.now})
    before = world.now
    result = world.claim()
    assert (result.state, result.server_id, world.seen(1)) == ("secondary", 2, 0)
    assert world.now == before
    assert moves(world) == [("primary", "secondary", "failover")]
    assert "silent" in result.reason


def test_fast_failover_without_re_register_on_keeps_the_binding_and_assumes_the_next() -> None:
    world = bound(replace(FAST, re_register_on=False))
    world.news = News(silent={1: world.now})
    result = world.claim()
    assert (result.server_id, result.assumed_server_id) == (1, 2)
    assert world.seen(1) == world.seen(2) == 0
    assert moves(world) == []


def test_who_was_answered_since_the_silence_was_seen_does_not_flee_from_it() -> None:
    world = bound(FAST)
    world.registrars[0].mood = "silent"
    world.news = News(silent={1: world.now})
    world.claim()
    world.registrars[0].mood = "ok"
    world.now += 5
    assert world.claim(wish="failback").state == "primary"
    assert world.claim().state == "primary", "the old news does not drive it away again"
    world.news = News(silent={1: world.now + 1})
    assert world.claim().state == "secondary", "silence seen later does"


def test_what_was_assumed_ends_with_the_silence() -> None:
    world = bound(replace(FAST, re_register_on=False))
    world.news = News(silent={1: world.now})
    world.claim()
    world.news = News()
    assert world.claim().assumed_server_id is None


def test_at_its_renewal_an_assumed_line_registers_at_the_next_server() -> None:
    world = bound(replace(FAST, re_register_on=False))
    world.registrars[0].mood = "silent"
    world.news = News(silent={1: world.now})
    world.claim()
    result = world.wait()
    assert (result.server_id, result.assumed_server_id) == (2, None)


def test_with_every_server_silent_nobody_moves() -> None:
    world = bound(FAST)
    world.news = News(silent=dict.fromkeys((1, 2), world.now))
    result = world.claim()
    assert (result.state, world.seen(1), world.seen(2)) == ("primary", 0, 0)


def test_a_fast_move_that_finds_nobody_does_not_drop_the_binding_it_had() -> None:
    world = bound(FAST)
    world.registrars[0].mood = "silent"
    world.registrars[1].mood = "403 Forbidden"
    world.news = News(silent={1: world.now})
    result = world.claim()
    assert (result.state, result.server_id) == ("primary", 1)
    assert result.expires_at == START + 3600
    assert result.due_at - world.now <= 60
    world.news = News()
    world.registrars[0].mood = "ok"
    assert world.wait().state == "primary"


def test_a_refusal_after_a_silent_renewal_does_not_drop_the_binding() -> None:
    world = bound(Policy(expires=600, expires_overlap=300))
    world.registrars[0].mood = "silent"
    world.registrars[1].mood = "403 Forbidden"
    result = world.wait()
    assert (result.state, result.server_id) == ("primary", 1)
    assert result.due_at - world.now <= 60
    world.registrars[0].mood = "ok"
    assert world.wait().server_id == 1
    assert world.result is not None and moves(world) == []


def test_a_binding_nobody_renews_is_not_shown_beyond_its_end() -> None:
    world = bound(Policy(expires=600, expires_overlap=300))
    world.registrars[0].mood = "silent"
    world.registrars[1].mood = "403 Forbidden"
    while world.now < START + 700:
        result = world.wait()
        assert world.now < START + 610 or result.state == "unregistered"


@pytest.mark.parametrize("mood", ["dead", "500 Oops", "503 Busy", "302 Moved"])
def test_nor_does_a_fast_move_that_meets_another_trouble(mood: str) -> None:
    world = bound(FAST)
    world.registrars[0].mood = "silent"
    world.registrars[1].mood = mood
    world.news = News(silent={1: world.now})
    result = world.claim()
    assert (result.state, result.server_id, result.expires_at) == ("primary", 1, START + 3600)
    assert result.due_at - world.now <= 60


@pytest.mark.parametrize("mood", ["dead", "403 Forbidden", "500 Oops"])
def test_a_line_that_leaves_a_paused_server_in_vain_keeps_its_binding(mood: str) -> None:
    world = bound(Policy(expires=600))
    world.now = START + 540
    world.news = News(paused={place(1): START + 900})
    world.registrars[1].mood = mood
    result = world.claim()
    assert (result.state, result.server_id, world.seen(1)) == ("primary", 1, 0)
    assert result.due_at < START + 600


def test_an_operator_may_call_home_a_line_that_is_just_leaving_a_silent_server() -> None:
    world = bound(replace(FAST, fail_back_timeout=0), servers=3)
    world.registrars[0].mood = "dead"
    world.now = START + 3540
    assert world.claim().server_id == 2
    world.registrars[0].mood = "ok"
    world.news = News(silent={2: world.now})
    world.now += 10
    assert world.claim("failback").state == "primary"
    assert world.seen(3) == 0


def test_a_fast_failover_line_comes_home_by_its_own_failback_rule() -> None:
    world = bound(replace(FAST, fail_back_mode=FailBackMode.DURATION, fail_back_timeout=120))
    world.news = News(silent={1: world.now})
    world.claim()
    moved_at = world.now
    world.news = News()
    assert world.wait().state == "primary"
    assert world.now == moved_at + 120


def test_in_a_fallback_list_fast_failover_renews_the_silent_entry_now() -> None:
    world = bound(Policy(fast_failover=True), mode=FALLBACK)
    world.registrars[0].mood = "silent"
    world.news = News(silent={1: world.now})
    result = world.claim()
    assert (result.state, result.server_id) == ("fallback", 2)
    assert world.seen(2) == 0


# -- sick servers --------------------------------------------------------------------------------


def refusing(on_mass_rejection: OnMassRejection) -> World:
    world = bound(Policy(on_mass_rejection=on_mass_rejection))
    world.registrars[0].mood = "403 Forbidden"
    world.news = News(sick=frozenset({1}))
    world.now = START + 3540
    return world


def test_a_sick_servers_refusal_stays_with_its_handset_by_default() -> None:
    world = refusing(OnMassRejection.STAY)
    assert world.claim().state == "rejected"
    assert world.seen(2) == 0


def test_a_sick_servers_refusal_moves_the_handset_where_the_group_says_so() -> None:
    world = refusing(OnMassRejection.FAILOVER)
    assert world.claim().server_id == 2


def test_one_handsets_refusal_moves_nobody_even_where_mass_refusal_would() -> None:
    world = refusing(OnMassRejection.FAILOVER)
    world.news = News()
    assert world.claim().state == "rejected"


def test_nobody_is_moved_home_to_a_sick_primary() -> None:
    world = World()
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = "ok"
    world.registrars[0].seen.clear()
    world.news = News(sick=frozenset({1}))
    result = world.wait()
    assert (result.state, world.seen(1)) == ("secondary", 0)


# -- what DNS says -------------------------------------------------------------------------------


def with_names(world: World, *entries: tuple[int, tuple[Target, ...], str]) -> None:
    world.entries = tuple(
        Entry(number, number, True, targets, f"Server {number}", unresolved)
        for number, targets, unresolved in entries
    )


def test_dns_answering_in_another_order_moves_nobody() -> None:
    world = World(servers=2)
    one, other = world.registrars
    other.target = replace(other.target, server_id=1)
    with_names(world, (1, (one.target, other.target), ""))
    world.claim()
    assert world.seen(2) == 0
    with_names(world, (1, (other.target, one.target), ""))
    result = world.wait()
    assert (result.state, world.seen(2)) == ("primary", 0)
    assert result.transitions == ()


def test_a_dead_dns_leaves_the_binding_where_it_is_and_renews_it_there() -> None:
    world = bound(Policy(expires=600))
    second = world.registrars[1].target
    with_names(world, (1, (), "The name could not be resolved."), (2, (second,), ""))
    result = world.wait()
    assert (result.state, result.server_id, world.seen(2)) == ("primary", 1, 0)
    assert len(binds(world, 1)) == 1


def test_an_address_that_dns_no_longer_names_is_left() -> None:
    world = World(servers=2)
    one, other = world.registrars
    other.target = replace(other.target, server_id=1)
    with_names(world, (1, (one.target,), ""))
    world.claim()
    with_names(world, (1, (other.target,), ""))
    assert world.wait().state == "primary"
    assert other.bindings


def test_a_new_ttl_counts_from_the_next_connection_on() -> None:
    world = World(Policy(fail_back_mode=FailBackMode.DNS_TTL))
    for registrar in world.registrars:
        registrar.target = replace(registrar.target, ttl=300)
    world.registrars[0].mood = "dead"
    result = world.claim()
    assert result.due_at == START + 300
    world.registrars[1].target = replace(world.registrars[1].target, ttl=600)
    result = world.wait()
    assert (result.state, result.due_at) == ("secondary", START + 300 + 600)


def test_a_literal_address_has_no_ttl_and_dnsttl_never_goes_home_by_time() -> None:
    world = World(Policy(fail_back_mode=FailBackMode.DNS_TTL))
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = "ok"
    for _ in range(5):
        assert world.wait().state == "secondary"


# -- what is kept ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mood", ["ok", "dead", "403 Forbidden", "503 Busy", "500 Oops"])
def test_the_last_answer_of_every_server_is_kept_for_the_explanation(mood: str) -> None:
    world = World()
    world.registrars[0].mood = mood
    result = world.claim()
    answers = json.loads(json.dumps(result.snapshot))["courses"]["group"]["answers"]
    assert answers["1"]["sentence"] or answers["1"]["verdict"] == "bound"
    assert answers["1"]["code"] == (
        None if mood == "dead" else int(mood[:3]) if mood != "ok" else 200
    )


def test_what_a_503_asks_for_reaches_those_who_keep_the_whole_fleet_away() -> None:
    world = World()
    world.registrars[0].mood = "503 Busy"
    world.registrars[0].extra = "Retry-After: 77 (maintenance)\r\n"
    first, _ = world.claim().heard
    assert (first.server_id, first.verdict, first.code, first.retry_after) == (1, "busy", 503, 77)


# -- a primary that was sick and is well again ---------------------------------------------------


def refused_at_home(policy: Policy) -> World:
    """A line on the secondary because a sick primary refused it; the primary is well again."""
    world = World(replace(policy, on_mass_rejection=OnMassRejection.FAILOVER))
    world.claim()
    world.news = News(sick=frozenset({1}))
    world.registrars[0].mood = "403 Forbidden"
    assert world.wait().state == "secondary"
    world.news, world.registrars[0].mood = News(), "ok"
    return world


@pytest.mark.parametrize("mode", [FailBackMode.REGISTRATION, FailBackMode.DURATION])
def test_who_was_refused_by_a_sick_primary_is_home_when_it_is_woken(mode: FailBackMode) -> None:
    world = refused_at_home(Policy(fail_back_mode=mode))
    world.now += 5
    assert world.claim("resume").state == "primary"


def test_who_never_comes_home_by_time_is_not_woken_home() -> None:
    world = refused_at_home(Policy(fail_back_mode=FailBackMode.DURATION, fail_back_timeout=0))
    world.now += 5
    assert world.claim("resume").state == "secondary"


def test_an_edit_sends_nobody_home_whom_the_primary_did_not_refuse() -> None:
    world = World(Policy(fail_back_mode=FailBackMode.DURATION))
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = "ok"
    asked = world.seen(1)
    assert (world.claim("resume").state, world.seen(1)) == ("secondary", asked)
