"""The handset's rules, one by one, named after the tables they stand in (T1-T18 first).

Each is the whole agent against scripted registrars in virtual time. The rules that need two
databases, TLS certificates or a DNS server have their real parts elsewhere; here is what the
agent makes of them.
"""

import itertools
import random
from dataclasses import replace

import pytest

from registrations.binding import Binding, Event, EventKind, Rules
from registrations.keeping import Entry
from registrations.redundancy import due_at, step
from registrations.values import FailBackMode, GroupMode, ListScope, Policy, Target
from tests.support.virtual import START, World, header

FALLBACK = GroupMode.FALLBACK
HALF_SECOND_RETRIES = Policy(retry_timeout=500)


def cseq(data: bytes) -> int:
    return int(header(data, "CSeq").split()[0])


def on_secondary(policy: Policy, servers: int = 2) -> World:
    """A line that found its primary dead; the primary is well again."""
    world = World(policy, servers=servers)
    world.registrars[0].mood = "dead"
    assert world.claim().state == "secondary"
    world.registrars[0].mood = "ok"
    world.registrars[0].seen.clear()
    return world


def fallback_pair(policy: Policy) -> World:
    """Two fallback entries, both up; entry 2 is granted longer, so that 1 renews alone."""
    world = World(policy, mode=FALLBACK)
    world.registrars[1].grants = 7200
    world.claim()
    world.registrars[1].seen.clear()
    return world


def last_phase(world: World, key: str) -> str:
    assert world.result is not None
    return str(world.result.snapshot["courses"][key]["binding"]["phase"])


# -- T1-T4: fallback lists -----------------------------------------------------------------


def test_t01_both_fallback_entries_register_at_boot_and_entry_1_works() -> None:
    world = World(mode=FALLBACK)
    result = world.claim()
    assert (result.state, result.server_id) == ("primary", 1)
    assert all(registrar.bindings for registrar in world.registrars)


@pytest.mark.parametrize(
    ("scope", "seconds", "sends"), [(ListScope.OWN_GROUP, 32, 11), (ListScope.ALL, 2, 4)]
)
def test_t02_a_silent_entry_1_fails_by_the_list_scope_and_2_works_without_a_register(
    scope: ListScope, seconds: float, sends: int
) -> None:
    world = fallback_pair(replace(HALF_SECOND_RETRIES, register_list_scope=scope))
    world.registrars[0].mood = "silent"
    world.registrars[0].seen.clear()
    result = world.wait()
    assert (result.state, result.server_id) == ("fallback", 2)
    assert last_phase(world, "1") == "waiting"
    assert world.seen(2) == 0
    assert world.now == pytest.approx(START + 3540 + seconds)
    assert world.seen(1) == sends


def test_t02_the_last_entry_of_all_has_the_whole_rfc_time_whatever_the_scope() -> None:
    world = World(replace(HALF_SECOND_RETRIES, register_list_scope=ListScope.ALL), mode=FALLBACK)
    world.registrars[1].mood = "silent"
    world.claim()
    assert world.now == pytest.approx(START + 32)


def test_t03_entry_1_returns_at_its_own_retry_and_works_at_once() -> None:
    world = fallback_pair(HALF_SECOND_RETRIES)
    world.registrars[0].mood = "silent"
    failed_at = world.wait() and world.now
    world.registrars[0].mood = "ok"
    result = world.wait()
    assert 30 <= world.now - failed_at <= 60
    assert (result.state, world.seen(2)) == ("primary", 0)
    assert last_phase(world, "2") == "bound"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_while_entry_1_goes_unanswered_each_other_entry_keeps_its_own_renewal(
    transport: str,
) -> None:
    """A binding shorter than the 32 s of a silent entry must not lapse at the ones that answer."""
    world = World(Policy(expires=20, expires_overlap=10), mode=FALLBACK, servers=3)
    for registrar in world.registrars:
        registrar.target = replace(registrar.target, transport=transport)
    world.claim()
    world.registrars[0].mood = "silent"
    renewed: dict[int, list[float]] = {2: [], 3: []}
    agent = world.agent()
    agent.start(max(world.now, world.result.due_at if world.result else 0.0), "", world.news)
    world.now = START + 10
    while not agent.is_idle:
        seen = {number: world.seen(number) for number in renewed}
        world.drive_once(agent)
        for number, times in renewed.items():
            times += [world.now] * (world.seen(number) - seen[number])
    assert world.now >= START + 42
    for times in renewed.values():
        assert max(b - a for a, b in itertools.pairwise(times)) <= 10
    assert agent.result().state == "fallback"


def test_a_claim_ends_although_its_silent_entries_never_rest_together() -> None:
    world = World(
        Policy(expires=60, register_retry_base=10), mode=FALLBACK, servers=3, jitter=lambda: 0.5
    )
    world.claim()
    world.registrars[0].mood = world.registrars[1].mood = "silent"
    for _ in range(10):
        began = max(world.now, world.result.due_at if world.result else 0.0)
        world.wait()
        assert world.now - began <= 3 * 32


def test_the_second_place_of_a_fallback_groups_first_entry_is_no_fallback() -> None:
    world = World(mode=FALLBACK, servers=3)
    one, two, three = (registrar.target for registrar in world.registrars)
    name = (one, replace(two, server_id=1))
    world.registrars[1].target = name[1]
    world.entries = (Entry(1, 1, True, name, "pbx"), Entry(3, 2, True, (three,), "gateway"))
    world.registrars[0].mood = "dead"
    assert (world.claim().state, world.claim().server_id) == ("secondary", 1)
    world.registrars[1].mood = "dead"
    result = world.wait()
    assert (result.state, result.server_id) == ("fallback", 3)
    assert result.transitions[-1].cause == "fallback"


def test_t04_an_entry_with_register_off_is_never_sent_a_register() -> None:
    world = World(mode=FALLBACK, registers={2: False})
    for mood in ("ok", "silent", "dead", "403 Forbidden", "ok"):
        world.registrars[0].mood = mood
        world.wait()
    assert world.seen(2) == 0


# -- T5-T8: going on to the next server -----------------------------------------------------


def test_t05_a_refused_port_moves_to_the_second_at_once_and_leaves_the_third() -> None:
    world = World(servers=3)
    world.registrars[0].mood = "dead"
    result = world.claim()
    assert (result.server_id, world.now, world.seen(3)) == (2, START, 0)


def test_t06_three_silent_servers_two_short_ladders_then_32_s_then_back_off() -> None:
    world = World(servers=3)
    for registrar in world.registrars:
        registrar.mood = "silent"
    result = world.claim()
    assert world.now == pytest.approx(START + 7.5 + 7.5 + 32)
    assert [world.seen(n) for n in (1, 2, 3)] == [4, 4, 11]
    assert result.state == "unregistered"
    assert 30 <= result.due_at - world.now <= 60


@pytest.mark.parametrize("re_register_on", [False, True])
def test_t07_a_200_with_no_time_is_no_registration_and_the_third_is_tried(
    re_register_on: bool,
) -> None:
    world = World(Policy(re_register_on=re_register_on), servers=3)
    world.claim()
    world.registrars[0].mood = "dead"
    world.registrars[1].grants = 0
    result = world.wait()
    assert (result.state, result.server_id) == ("secondary", 3)


@pytest.mark.parametrize("fail_registration_on", [False, True])
@pytest.mark.parametrize("only_signal_with_registered", [False, True])
@pytest.mark.parametrize("re_register_on", [False, True])
def test_t08_no_combination_of_the_three_switches_sends_expires_0_to_the_server_left(
    re_register_on: bool, fail_registration_on: bool, only_signal_with_registered: bool
) -> None:
    world = World(
        Policy(
            re_register_on=re_register_on,
            fail_registration_on=fail_registration_on,
            only_signal_with_registered=only_signal_with_registered,
        )
    )
    world.claim()
    world.registrars[0].mood = "dead"
    assert world.wait().server_id == 2
    world.registrars[0].mood = "ok"
    world.registrars[0].seen.clear()
    assert world.wait().server_id == 1
    sent = [data for registrar in world.registrars for data in registrar.seen]
    assert sent
    assert {header(data, "Expires") for data in sent} == {"3600"}


# -- T9: failback ----------------------------------------------------------------------------


def test_t09_registration_mode_tries_the_primary_when_the_renewal_starts() -> None:
    world = on_secondary(Policy(fail_back_mode=FailBackMode.REGISTRATION))
    due = world.result.due_at if world.result else 0
    assert world.wait().state == "primary"
    assert world.now == due == START + 3540


def test_t09_duration_60_tries_the_primary_after_60_s() -> None:
    world = on_secondary(Policy(fail_back_mode=FailBackMode.DURATION, fail_back_timeout=60))
    assert world.wait().state == "primary"
    assert world.now == START + 60


def test_t09_duration_0_never_goes_home_by_time() -> None:
    world = on_secondary(Policy(fail_back_mode=FailBackMode.DURATION, fail_back_timeout=0))
    for _ in range(10):
        assert world.wait().state == "secondary"
    assert world.seen(1) == 0


def test_t09_duration_0_goes_home_once_the_current_server_fails_too() -> None:
    world = on_secondary(Policy(fail_back_mode=FailBackMode.DURATION, fail_back_timeout=0))
    world.registrars[1].mood = "dead"
    assert world.wait().state == "primary"


def test_t09_dnsttl_tries_the_primary_after_the_ttl_of_the_server_it_is_on() -> None:
    world = World(Policy(fail_back_mode=FailBackMode.DNS_TTL))
    for registrar, ttl in zip(world.registrars, (60, 300), strict=True):
        registrar.target = replace(registrar.target, ttl=ttl)
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = "ok"
    assert world.wait().state == "primary"
    assert world.now == START + 300


def test_t09_new_requests_mode_tries_the_primary_with_the_next_request() -> None:
    world = on_secondary(Policy(fail_back_mode=FailBackMode.NEW_REQUESTS))
    assert world.wait().state == "primary"
    assert world.now == START + 3540


# -- T10-T13, T15: answers -------------------------------------------------------------------


def test_t10_a_503_with_retry_after_keeps_the_first_untouched_although_failback_falls_due() -> None:
    world = World(Policy(fail_back_mode=FailBackMode.DURATION, fail_back_timeout=60))
    world.registrars[0].mood = "503 Busy"
    world.registrars[0].extra = "Retry-After: 120\r\n"
    assert world.claim().server_id == 2
    world.registrars[0].mood, asked = "ok", world.seen(1)
    while world.now < START + 119:
        assert world.seen(1) == asked
        world.wait()
    assert world.now == START + 120
    assert world.result is not None and world.result.state == "primary"


def test_s6_a_failed_failback_try_does_not_disturb_a_secondary_that_asked_for_quiet() -> None:
    world = World(Policy(expires=60, fail_back_mode=FailBackMode.NEW_REQUESTS))
    world.registrars[0].mood = "silent"
    assert world.claim().server_id == 2
    world.registrars[1].mood = "503 Busy"
    world.registrars[1].extra = "Retry-After: 90\r\n"
    world.wait()
    quiet_until, asked = world.now + 90, world.seen(2)
    while world.now < quiet_until - 1:
        assert world.seen(2) == asked
        world.wait()
    assert world.seen(1) > 1


def test_t11_a_423_is_repeated_once_with_its_time_and_remembered_at_the_next_boot() -> None:
    world = World(Policy(expires=600))
    first = world.registrars[0]
    first.challenges = False
    first.mood, first.extra = "423 Interval Too Brief", "Min-Expires: 1800\r\n"
    agent = world.agent()
    agent.start(world.now)
    world.drive_once(agent)
    first.mood = "ok"
    while not agent.is_idle:
        world.drive_once(agent)
    world.result, world.snapshot = agent.result(), agent.result().snapshot
    assert [header(data, "Expires") for data in first.seen] == ["600", "1800"]
    assert world.result.expires_at == START + 1800
    world.now += 10_000
    assert world.claim().state == "primary"
    assert header(first.seen[-1], "Expires") == "1800"


def test_t12_a_stale_nonce_at_the_renewal_costs_one_silent_retry() -> None:
    world = World()
    world.claim()
    first = world.registrars[0]
    first.mood = "401 Unauthorized"
    first.extra = (
        'WWW-Authenticate: Digest realm="pbx.example", nonce="n2", qop="auth", stale=true\r\n'
    )
    world.now = START + 3540
    agent = world.agent()
    agent.start(world.now)
    before = len(first.seen)
    world.drive_once(agent)
    first.mood = "ok"
    while not agent.is_idle:
        world.drive_once(agent)
    pre_emptive, retry = first.seen[before:]
    assert 'nonce="n1"' in header(pre_emptive, "Authorization")
    assert "nc=00000002" in header(pre_emptive, "Authorization")
    assert 'nonce="n2"' in header(retry, "Authorization")
    assert "nc=00000001" in header(retry, "Authorization")
    assert cseq(retry) == cseq(pre_emptive) + 1
    assert agent.result().transitions == ()


def test_t13_refused_credentials_are_no_reason_to_ask_another_server() -> None:
    world = World()
    world.registrars[0].mood = "401 Unauthorized"
    world.registrars[0].extra = 'WWW-Authenticate: Digest realm="pbx.example", nonce="n"\r\n'
    result = world.claim()
    assert (result.state, world.seen(1), world.seen(2)) == ("rejected", 2, 0)


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found"])
def test_t13_403_and_404_are_no_reason_either(status: str) -> None:
    world = World()
    world.registrars[0].mood = status
    assert (world.claim().state, world.seen(2)) == ("rejected", 0)


def test_t14_a_name_that_does_not_resolve_counts_as_failed_and_entry_2_works() -> None:
    world = World(mode=FALLBACK)
    second = world.registrars[1].target
    world.entries = (
        Entry(1, 1, True, (), "Main", "The name pbx.example does not exist."),
        Entry(2, 2, True, (second,), "Gateway"),
    )
    result = world.claim()
    assert (result.state, result.server_id) == ("fallback", 2)
    assert world.now == START


def test_t14_in_a_failover_group_the_names_that_resolve_are_used() -> None:
    world = World()
    second = world.registrars[1].target
    world.entries = (
        Entry(1, 1, True, (), "Main", "The name pbx.example does not exist."),
        Entry(2, 2, True, (second,), "Second"),
    )
    result = world.claim()
    assert result.server_id == 2
    assert "does not exist" in result.reason


def test_t15_a_foreign_contact_with_another_expiry_does_not_set_ours() -> None:
    world = World()
    world.registrars[0].foreign = "sip:4101@192.0.2.9:5060"
    result = world.claim()
    assert (result.state, result.expires_at) == ("primary", START + 3600)


# -- T16-T18 ---------------------------------------------------------------------------------


def test_t16_after_a_killed_worker_cseq_goes_on_above_and_the_registrar_holds_one_binding() -> None:
    world = World()
    world.claim()
    killed = world.agent()
    world.now = START + 3540
    killed.start(world.now)
    world.drive_once(killed)
    world.lease_gap = 100
    world.now += 60
    assert world.claim().state == "primary"
    numbers = [cseq(data) for data in world.registrars[0].seen]
    assert numbers == sorted(set(numbers))
    assert len({header(data, "Call-ID") for data in world.registrars[0].seen}) == 1
    assert len(world.registrars[0].bindings) == 1


def test_t17_500_lines_bound_in_one_second_are_not_synchronised_after_ten_renewals() -> None:
    draw = random.Random(17)
    rules = Rules(Policy(), (None, None), 7.5, draw.random)
    due, bound = Event(EventKind.DUE), Event(EventKind.BOUND, expires=3600)
    ends = []
    for place in range(500):
        now, binding = START + place / 500, Binding()
        for _ in range(11):
            binding, wanted = step(binding, due, rules, now)
            assert wanted is not None
            binding, _ = step(binding, bound, rules, now)
            now = due_at(binding, rules) or 0.0
        ends.append(now)
    busiest = max(sum(1 for end in ends if second <= end < second + 1) for second in ends)
    assert max(ends) - min(ends) > 1000
    assert busiest <= 10


def test_t18_a_failed_tls_handshake_fails_at_once_and_is_not_tried_without_tls() -> None:
    world = World()
    for registrar in world.registrars:
        registrar.target = replace(registrar.target, port=5061, transport="tls", tls_name="pbx")
        registrar.mood = "dead"
    result = world.claim()
    assert (result.state, world.now) == ("unregistered", START)
    sent = [data for registrar in world.registrars for data in registrar.seen]
    assert len(sent) == 2
    assert all("SIP/2.0/TLS" in header(data, "Via") for data in sent)


# -- 1.2 and 1.3: groups inside lists, who works ----------------------------------------------


def two_groups() -> World:
    """Entry 1 is a name with two addresses, entry 2 a gateway with one."""
    world = World(servers=3, mode=FALLBACK)
    one, other, gateway = (registrar.target for registrar in world.registrars)
    world.entries = (
        Entry(1, 1, True, (one, replace(other, server_id=1)), "Main"),
        Entry(2, 2, True, (replace(gateway, server_id=2),), "Gateway"),
    )
    world.registrars[1].target = replace(other, server_id=1)
    world.registrars[2].target = replace(gateway, server_id=2)
    return world


def test_1_2_a_fallback_entry_that_is_a_failover_group_fails_over_inside_itself_first() -> None:
    world = two_groups()
    world.claim()
    assert [world.seen(n) for n in (1, 2, 3)] == [2, 0, 2]
    world.registrars[0].mood = "dead"
    result = world.wait()
    assert result.server_id == 1
    assert world.registrars[1].bindings


def test_1_2_only_when_the_whole_entry_is_gone_does_the_next_entry_work() -> None:
    world = two_groups()
    world.claim()
    world.registrars[0].mood = world.registrars[1].mood = "dead"
    result = world.wait()
    assert (result.state, result.server_id) == ("fallback", 2)


def test_1_3_boot_of_a_failover_group_registers_at_the_first_target_only() -> None:
    world = World(servers=3)
    world.claim()
    assert [len(registrar.bindings) for registrar in world.registrars] == [1, 0, 0]


def test_1_3_a_failed_renewal_carries_the_same_registration_to_the_next_target() -> None:
    world = World()
    world.claim()
    first, second = world.registrars
    first.mood = "dead"
    world.wait()
    assert header(second.seen[0], "Call-ID") == header(first.seen[0], "Call-ID")
    assert cseq(second.seen[0]) > cseq(first.seen[-1])


def test_1_3_in_a_fallback_list_a_failed_entry_is_retried_without_end() -> None:
    world = World(mode=FALLBACK)
    world.registrars[0].mood = "dead"
    world.claim()
    for _ in range(50):
        before = world.seen(1)
        world.wait()
        assert world.seen(1) > before or world.seen(2) > 2


def test_1_3_the_working_entry_is_the_registered_one_of_the_lowest_index() -> None:
    world = World(mode=FALLBACK, servers=3)
    world.registrars[0].mood = world.registrars[1].mood = "dead"
    assert world.claim().server_id == 3
    world.registrars[1].mood = "ok"
    assert world.wait().server_id == 2


def test_1_3_the_last_server_that_worked_is_kept_until_its_failback_rule_says_so() -> None:
    world = on_secondary(Policy(fail_back_mode=FailBackMode.DURATION, fail_back_timeout=600))
    world.now += 300
    assert world.claim().server_id == 2
    assert world.seen(1) == 0


# -- 1.4: what counts as signalling failure ---------------------------------------------------


def test_1_4_a_line_none_of_whose_names_resolve_is_unregistered_and_says_why() -> None:
    world = World()
    world.entries = (Entry(1, 1, True, (), "Main", "The name pbx.example does not exist."),)
    result = world.claim()
    assert result.state == "unregistered"
    assert "does not exist" in result.reason
    assert 30 <= result.due_at - START <= 60


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_1_4_a_connection_that_fails_is_failure_at_once(transport: str) -> None:
    world = World()
    world.registrars[0].target = replace(world.registrars[0].target, transport=transport)
    world.registrars[0].mood = "dead"
    assert (world.claim().server_id, world.now) == (2, START)


@pytest.mark.parametrize(("fast", "seconds"), [(False, 32.0), (True, 7.5)])
def test_1_4_silence_on_tcp_takes_the_ladder_only_with_tcp_fast_failover(
    fast: bool, seconds: float
) -> None:
    world = World(Policy(tcp_fast_failover=fast))
    world.registrars[0].target = replace(world.registrars[0].target, transport="tcp")
    world.registrars[0].mood = "silent"
    assert world.claim().server_id == 2
    assert world.now == pytest.approx(START + seconds)
    assert world.seen(1) == 1


@pytest.mark.parametrize(
    ("count", "timeout_ms", "waits_after", "gives_up", "sends"),
    [
        (3, 500, True, 2.0, 4),
        (3, 500, False, 1.5, 3),
        (0, 500, True, 2.0, 4),
        (1, 1000, True, 2.0, 2),
        (3, 0, True, 7.5, 4),
        (3, 0, False, 3.5, 3),
        (20, 100, True, 2.1, 21),
    ],
)
def test_1_4_the_ladder_of_retry_max_count_and_retry_timeout(
    count: int, timeout_ms: int, waits_after: bool, gives_up: float, sends: int
) -> None:
    world = World(
        Policy(retry_max_count=count, retry_timeout=timeout_ms, retry_waits_after_last=waits_after)
    )
    world.registrars[0].mood = "silent"
    assert world.claim().server_id == 2
    assert world.now == pytest.approx(START + gives_up)
    assert world.seen(1) == sends


@pytest.mark.parametrize(
    ("policy", "moves_on"),
    [(Policy(), True), (Policy(failover_on_408=False), False)],
)
def test_1_4_a_received_408_is_failure_by_the_setting(policy: Policy, moves_on: bool) -> None:
    world = World(policy)
    world.registrars[0].mood = "408 Request Timeout"
    assert (world.claim().server_id == 2) == moves_on
    assert (world.seen(2) > 0) == moves_on


@pytest.mark.parametrize(
    ("policy", "moves_on"),
    [(Policy(), True), (Policy(failover_on_503=False), False)],
)
def test_1_4_a_503_is_failure_by_the_setting(policy: Policy, moves_on: bool) -> None:
    world = World(policy)
    world.registrars[0].mood = "503 Service Unavailable"
    assert (world.claim().server_id == 2) == moves_on


def test_1_4_without_failover_on_503_a_retry_after_still_holds_the_line_back() -> None:
    world = World(Policy(failover_on_503=False))
    world.registrars[0].mood = "503 Service Unavailable"
    world.registrars[0].extra = "Retry-After: 300\r\n"
    result = world.claim()
    assert (result.state, world.seen(2)) == ("unregistered", 0)
    assert result.due_at >= START + 300


@pytest.mark.parametrize(
    "status",
    ["400 Bad Request", "480 Gone", "500 Oops", "504 Timeout", "600 Busy", "302 Moved", "699 No"],
)
def test_1_4_other_final_answers_do_not_fail_over(status: str) -> None:
    world = World()
    world.claim()
    world.registrars[0].mood = status
    bound_until = START + 3600
    while world.now < bound_until - 10:
        result = world.wait()
        assert (result.state, result.server_id) == ("primary", 1)
        assert (result.answer, world.seen(2)) == (status, 0)
    world.registrars[0].mood = "ok"
    assert world.wait().state == "primary"


def test_1_4_never_gives_up_silently_whatever_the_answer() -> None:
    for status in ("302 Moved", "403 No", "404 No", "423 Brief", "500 Oops", "503 Busy", "603 No"):
        world = World()
        for registrar in world.registrars:
            registrar.mood = status
        world.claim()
        for _ in range(40):
            before = world.now
            result = world.wait()
            assert result.due_at > before
            assert result.due_at - world.now <= 1800
            assert result.reason and result.answer == status


# -- 1.5 and 1.6 ------------------------------------------------------------------------------


def test_1_5_a_second_failover_restarts_the_duration() -> None:
    policy = Policy(fail_back_mode=FailBackMode.DURATION, fail_back_timeout=120, expires=200)
    world = World(policy, servers=3)
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[1].mood = "dead"
    while world.result is None or world.result.server_id != 3:
        world.wait()
    moved_at = world.now
    world.registrars[0].mood = "ok"
    while world.result.state != "primary":
        world.wait()
    assert world.now == moved_at + 120


@pytest.mark.parametrize("mode", list(FailBackMode))
@pytest.mark.parametrize("mood", ["dead", "silent", "403 Forbidden", "500 Oops", "503 Busy"])
def test_1_5_a_failed_failback_try_stays_and_rearms_the_same_rule(
    mode: FailBackMode, mood: str
) -> None:
    world = World(Policy(fail_back_mode=mode, fail_back_timeout=600))
    for registrar in world.registrars:
        registrar.target = replace(registrar.target, ttl=300)
    world.registrars[0].mood = "dead"
    world.claim()
    world.registrars[0].mood = mood
    tries = 0
    for _ in range(30):
        before = world.seen(1)
        result = world.wait()
        assert (result.state, result.server_id) == ("secondary", 2)
        tries += world.seen(1) > before
    assert tries >= 3
    world.registrars[0].mood = "ok"
    for _ in range(30):
        if world.wait().state == "primary":
            return
    raise AssertionError("it never came home")


def test_1_5_the_secondary_stays_operational_while_the_primary_is_tried() -> None:
    world = on_secondary(Policy())
    world.registrars[0].mood = "silent"
    renewed: list[float] = []
    for _ in range(5):
        ends = max(world.registrars[1].bindings.values())
        world.wait()
        assert world.now < ends
        renewed.append(ends)
    assert renewed == sorted(set(renewed))


@pytest.mark.parametrize("re_register_on", [False, True])
def test_1_6_calls_are_assumed_on_the_next_server_only_without_re_register_on(
    re_register_on: bool,
) -> None:
    world = World(Policy(re_register_on=re_register_on, fast_failover=True))
    world.claim()
    world.registrars[0].mood = "silent"
    world.news = replace(world.news, silent={1: world.now})
    world.now += 100
    result = world.claim()
    if re_register_on:
        assert (result.server_id, result.assumed_server_id) == (2, None)
    else:
        assert (result.server_id, result.assumed_server_id) == (1, 2)
        assert world.seen(2) == 0


# -- 2: the renewal table ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("granted", "overlap", "after"),
    [(3600, 60, 3540), (300, 5, 295), (30, 60, 15), (60, 60, 30), (7200, 60, 7140)],
)
def test_2_the_renewal_starts_by_what_was_granted(granted: int, overlap: int, after: float) -> None:
    world = World(Policy(expires_overlap=overlap))
    world.registrars[0].grants = granted
    assert world.claim().due_at == START + after


@pytest.mark.parametrize(("base", "ceiling"), [(60, 60), (10, 60), (120, 1800)])
def test_2_the_registration_back_off_doubles_from_its_base_to_its_ceiling(
    base: int, ceiling: int
) -> None:
    world = World(Policy(register_retry_base=base, register_retry_max=ceiling))
    for registrar in world.registrars:
        registrar.mood = "dead"
    for failures in range(1, 12):
        result = world.wait()
        assert result.due_at - world.now == min(ceiling, base * 2**failures) / 2
        assert result.attempt == failures


# -- 9: what the guide leaves open is a setting -------------------------------------------------


def test_9_the_settings_defaults_are_those_the_facts_name() -> None:
    policy = Policy()
    assert policy.failover_on_503 and policy.failover_on_408 and policy.retry_waits_after_last
    assert not policy.tcp_fast_failover
    assert policy.register_list_scope is ListScope.OWN_GROUP


def test_9_dnsttl_uses_the_ttl_the_target_was_found_with_and_never_less_than_10_s() -> None:
    world = World(Policy(fail_back_mode=FailBackMode.DNS_TTL))
    second = world.registrars[1]
    second.target = Target(2, "127.0.0.3", 5060, ttl=1)
    world.registrars[0].mood = "dead"
    assert world.claim().due_at == START + 10


# -- N: what lies between -------------------------------------------------------------------


def test_n1_every_register_asks_for_the_port_it_is_seen_from() -> None:
    world = World()
    world.claim()
    assert all(";rport" in header(data, "Via") for data in world.registrars[0].seen)


def test_n2_a_binding_through_an_address_translation_says_so() -> None:
    world = World()
    reply = world.registrars[0].answer

    def through_nat(data: bytes, now: float) -> bytes | None:
        answer = reply(data, now)
        return answer and answer.replace(b";rport", b";received=203.0.113.9;rport=61002")

    world.registrars[0].answer = through_nat  # type: ignore[method-assign]
    result = world.claim()
    assert result.state == "primary"
    said = result.snapshot["courses"]["group"]["answers"]["1"]["sentence"]
    assert "sees this handset come from 203.0.113.9:61002" in said


def test_n3_the_contact_bears_the_lines_instance_and_reg_id() -> None:
    world = World()
    world.claim()
    contact = header(world.registrars[0].seen[-1], "Contact")
    assert contact.endswith(';+sip.instance="<urn:uuid:1>";reg-id=1')
