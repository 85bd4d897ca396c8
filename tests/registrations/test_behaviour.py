"""A group's behaviour in sentences: every figure is the one the agents wait by."""

from typing import Any

import pytest

from fleet.formats.dns_cache import DnsRow
from fleet.models import Server, ServerGroup
from registrations.shown import behaviour, wording


def servers(*names: str, **more: Any) -> list[Server]:
    return [
        Server(priority=n, name=name, address=f"127.0.0.{n + 1}", port=5060, **more)
        for n, name in enumerate(names, 1)
    ]


TWO = ("PBX east", "PBX west")


def told(group: ServerGroup, which: list[Server] | None = None, lines: int = 10) -> dict[str, str]:
    found = behaviour.steps(group, servers(*TWO) if which is None else which, lines)
    return {step.title: " ".join(step.sentences) for step in found}


def because(group: ServerGroup, title: str) -> tuple[str, ...]:
    found = behaviour.steps(group, servers(*TWO), 10)
    return next(step.because for step in found if step.title == title)


def test_at_start_a_failover_group_asks_the_first_server_alone() -> None:
    said = told(ServerGroup())["Start"]
    assert "Registers with PBX east alone; PBX west hears nothing until it fails." in said
    assert "asks for 1 h" in said


def test_at_start_a_fallback_group_asks_every_server_that_takes_registrations() -> None:
    group = ServerGroup(mode="fallback")
    which = servers("PBX", "Gateway", "Trunk")
    which[2].register = False
    said = told(group, which)["Start"]
    assert "every one of PBX and Gateway" in said
    assert "Trunk gets calls only, never a REGISTER." in said


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({}, "53 min to 59 min"),
        ({"expires": 300, "expires_overlap": 5}, "4 min 25 s to 4 min 55 s"),
        ({"expires": 60, "expires_overlap": 60}, "half-way through the granted time"),
        ({"expires": 30, "expires_overlap": 60}, "12 s to 15 s"),
    ],
)
def test_the_renewal_is_told_as_the_table_of_the_guide_has_it(
    policy: dict[str, int], words: str
) -> None:

    assert words in told(ServerGroup(**policy))["Renewal"]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({}, "Sends again after 0.5, 1.5 and 3.5 s and gives the server up at 7.5 s."),
        (
            {"retry_timeout": 500, "retry_max_count": 3},
            "Sends again after 0.5, 1 and 1.5 s and gives the server up at 2 s.",
        ),
        (
            {"retry_timeout": 500, "retry_max_count": 3, "retry_waits_after_last": False},
            "gives the server up at 1.5 s.",
        ),
        ({"retry_max_count": 0}, "gives the server up at 7.5 s."),
    ],
)
def test_patience_with_a_silent_server_is_the_ladders(policy: dict[str, Any], words: str) -> None:
    said = told(ServerGroup(**policy))["A server that does not answer"]
    assert words in said
    assert "The last server left gets the whole 32 s of RFC 3261." in said


def test_in_a_fallback_group_each_server_is_the_last_of_its_own_list() -> None:
    own = told(ServerGroup(mode="fallback"))["A server that does not answer"]
    assert "Each server is the last of its own list, so it gets the whole 32 s" in own
    every = ServerGroup(mode="fallback", register_list_scope="all")
    assert "gives the server up at 7.5 s" in told(every)["A server that does not answer"]


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ((False, False, True), "without registering there: the servers are taken to share"),
        ((False, True, False), "without registering there: the servers are taken to share"),
        ((True, False, True), "still counts until its time ends"),
        ((True, True, True), "Nothing more is sent to the failed server or accepted from it"),
        ((True, True, False), "may go on signalling with it"),
    ],
)
def test_the_three_switches_are_told_together(switches: tuple[bool, ...], words: str) -> None:
    names = ("re_register_on", "fail_registration_on", "only_signal_with_registered")
    assert words in told(ServerGroup(**dict(zip(names, switches, strict=True))))["Failover"]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"fail_back_mode": "registration"}, "Offers its next renewal to the primary first."),
        ({"fail_back_mode": "new_requests"}, "Offers every new request, so each renewal"),
        ({"fail_back_mode": "dns_ttl"}, "when the DNS record of the server it is on runs out"),
        ({"fail_back_mode": "duration", "fail_back_timeout": 60}, "again 1 min after it moved"),
        ({"fail_back_mode": "duration", "fail_back_timeout": 0}, "until that server fails too"),
    ],
)
def test_every_way_home_has_its_sentence(policy: dict[str, Any], words: str) -> None:
    assert words in told(ServerGroup(**policy))["The way home"]


def test_a_step_names_the_parameters_that_make_it_so() -> None:
    assert because(ServerGroup(), "The way home") == ("failOver.failBack.mode",)
    duration = ServerGroup(fail_back_mode="duration")
    assert "failOver.failBack.timeout" in because(duration, "The way home")


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({}, "Waits 30 s to 1 min, then starts again with the first server. It never gives up."),
        ({"register_retry_max": 1800}, "each time twice as long, up to 30 min"),
    ],
)
def test_the_back_off_is_told_as_it_is_drawn(policy: dict[str, int], words: str) -> None:
    assert words in told(ServerGroup(**policy))["No server takes it"]


def test_a_503_is_told_as_the_group_has_it() -> None:
    assert (
        "503: goes on to the next server" in told(ServerGroup())["A server that answers otherwise"]
    )
    stays = ServerGroup(failover_on_503=False)
    assert "503: stays on the same" in told(stays)["A server that answers otherwise"]


def test_in_a_fallback_group_a_503_leads_to_no_other_server() -> None:
    said = told(ServerGroup(mode="fallback"))["A server that answers otherwise"]
    assert "503: goes on to the next address of its name" in said
    assert "the registration it has stands to its end" in said


def test_over_connections_alone_nothing_is_sent_twice() -> None:
    said = told(ServerGroup(), servers(*TWO, transport="tls"))["A server that does not answer"]
    assert "Sends again" not in said
    assert "gives up after 32 s" in said


def test_a_groups_own_records_stand_in_for_dns() -> None:
    which = [Server(priority=1, address="pbx.example", port=5060, transport="udp")]
    assert "own records stand in (dns.cache)" in told(ServerGroup(), which)["Finding the servers"]


def test_a_group_of_one_literal_server_has_no_failover_and_no_way_home() -> None:
    said = told(ServerGroup(), servers("PBX"))
    assert "Failover" not in said and "The way home" not in said
    assert "As it is the last server" in said["A server that does not answer"]


def test_a_name_is_told_as_the_list_it_stands_for() -> None:
    name = Server(priority=1, address="pbx.example", port=0, transport="dns_naptr", name="")
    said = told(ServerGroup(), [name])
    assert "Asks DNS for pbx.example: NAPTR, then SRV records" in said["Finding the servers"]
    assert "The way home" in said


# ---- Warnings ---------------------------------------------------------------------------------


def warned(group: ServerGroup, which: list[Server] | None = None, lines: int = 10) -> str:
    found = servers(*TWO) if which is None else which
    return " ".join(wording.warnings(group, found, lines, []))


SOUND = {"re_register_on": True}


def test_a_sound_group_is_warned_of_nothing() -> None:
    assert warned(ServerGroup(**SOUND)) == ""
    assert warned(ServerGroup(shares_registrations=True)) == ""


def test_using_servers_unregistered_that_share_nothing_is_warned_of() -> None:
    assert "shares_registrations is off" in warned(ServerGroup())


def test_more_than_two_fallback_servers_are_warned_of() -> None:
    group = ServerGroup(mode="fallback")
    assert warned(group) == ""
    assert "3 servers each hold a registration" in warned(group, servers("A", "B", "C"))


def test_a_name_without_a_static_cache_is_warned_of() -> None:
    name = [Server(priority=1, address="pbx.example", port=0)]
    group = ServerGroup(**SOUND)
    assert "pbx.example must be asked of DNS" in warned(group, name)
    own = [DnsRow("A", name[0].address, address="192.0.2.10")]
    assert wording.warnings(group, name, 10, own) == []


def test_records_of_its_own_that_no_look_up_comes_to_are_warned_of() -> None:
    name = [Server(priority=1, address="pbx.example", port=0)]
    own = [
        DnsRow("NAPTR", "pbx.example", replacement="_sip._udp.elsewhere.example"),
        DnsRow("SRV", "_sip._udp.elsewhere.example", target="a.example"),
        DnsRow("SRV", "_sips._tcp.pbx.example", target="b.example"),
        DnsRow("A", "a.example", address="192.0.2.10"),
        DnsRow("A", "b.example", address="192.0.2.11"),
    ]
    assert wording.warnings(ServerGroup(**SOUND), name, 10, own) == []
    own.append(DnsRow("A", "pxb.example", address="192.0.2.12"))
    assert wording.warnings(ServerGroup(**SOUND), name, 10, own) == [
        "No server of this group asks for pxb.example: the records of its own by that name are "
        "never used."
    ]


def test_a_mode_that_cannot_work_here_is_warned_of() -> None:
    assert "no record runs out" in warned(ServerGroup(fail_back_mode="dns_ttl", **SOUND))
    assert "84-Series does not offer" in warned(ServerGroup(fail_back_mode="new_requests", **SOUND))


def test_a_cap_below_the_renewals_is_warned_of() -> None:
    slow = ServerGroup(expires=60, expires_overlap=5, max_registrations_per_second=10, **SOUND)
    assert "10000 lines renew about" in warned(slow, lines=10_000)
    assert warned(slow, lines=100) == ""


def test_a_group_without_a_registrar_says_so() -> None:
    assert "nowhere to go" in warned(ServerGroup(**SOUND), servers("PBX", register=False))
    assert behaviour.steps(ServerGroup(), [], 0) == []


# ---- Parameters -------------------------------------------------------------------------------


def shown(group: ServerGroup) -> dict[str, wording.ParameterRow]:
    return {row.name: row for row in wording.policy(group, servers(*TWO))}


def test_values_are_written_as_the_guide_writes_them() -> None:
    rows = shown(ServerGroup(fail_back_mode="dns_ttl", re_register_on=True))
    assert rows["fail_back_mode"].value == "DNSTTL"
    assert rows["fail_back_mode"].guide_name == "voIpProt.server.x.failOver.failBack.mode"
    assert (rows["re_register_on"].value, rows["re_register_on"].default) == ("1", "0")
    assert rows["expires"].value == "3600 s"
    assert rows["fast_failover"].value == "off"


def test_a_parameter_without_effect_says_why() -> None:
    rows = shown(ServerGroup())
    assert rows["fail_registration_on"].idle == "Needs reRegisterOn."
    assert rows["fail_back_timeout"].idle and not rows["fail_back_mode"].idle
    fallback = shown(ServerGroup(mode="fallback"))
    assert fallback["re_register_on"].idle == "Only failover groups use it."
    assert fallback["fail_back_mode"].idle == "Each server of this fallback group is one address."
    assert not fallback["register_list_scope"].idle
