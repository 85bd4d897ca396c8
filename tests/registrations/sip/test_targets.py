"""From a configured server to its targets: RFC 3263 and the handset's own order."""

from collections import Counter
from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrations.sip.targets import (
    Address,
    Answer,
    Kind,
    Pointer,
    Question,
    Record,
    Service,
    drawn,
    literal,
    locate,
)
from registrations.values import Target

Zone = Mapping[tuple[str, str], list[Record]]


def never() -> float:
    raise AssertionError("nothing is to be drawn")


def configured(port: int = 0, transport: str = "dns_naptr", tls_name: str = "") -> Target:
    return Target(7, "pbx.test", port, transport, tls_name)


def walk(wanted: Target, zone: Zone) -> tuple[list[Target], str, list[tuple[str, str]]]:
    """Answer from the zone until nothing is open; return targets, why not, and what was asked."""
    answers: dict[Question, Answer] = {}
    asked: list[tuple[str, str]] = []
    for _ in range(6):
        located = locate(wanted, answers, Random(1).random)
        if not located.open:
            return list(located.targets), located.unresolved, asked
        for question in sorted(located.open, key=lambda q: (q.kind, q.name)):
            assert question not in answers, "asked twice"
            asked.append((question.kind.value, question.name))
            records = tuple(zone.get((question.kind.value, question.name), ()))
            why = "" if records else f"No {question.kind} of {question.name}."
            answers[question] = Answer(records, why)
    raise AssertionError("it asks for ever")


def places(targets: list[Target]) -> list[tuple[str, int, str]]:
    return [(target.address, target.port, target.transport) for target in targets]


@pytest.mark.parametrize(
    ("transport", "port", "becomes"),
    [
        ("dns_naptr", 0, ("udp", 5060)),
        ("udp", 0, ("udp", 5060)),
        ("tcp", 0, ("tcp", 5060)),
        ("tcp_preferred", 0, ("tcp_preferred", 5060)),
        ("tls", 0, ("tls", 5061)),
        ("dns_naptr", 5080, ("udp", 5080)),
        ("tls", 5080, ("tls", 5080)),
    ],
)
def test_3_1_an_ip_address_needs_no_look_up(
    transport: str, port: int, becomes: tuple[str, int]
) -> None:
    found = literal(Target(7, "192.0.2.1", port, transport))
    assert (found.transport, found.port, found.ttl) == (*becomes, None)


def test_3_1_a_name_with_a_port_asks_for_addresses_only() -> None:
    zone: Zone = {
        ("A", "pbx.test"): [Address("192.0.2.1", 60), Address("192.0.2.2", 60)],
        ("AAAA", "pbx.test"): [Address("2001:db8::1", 90)],
        ("SRV", "_sip._udp.pbx.test"): [Service(1, 1, 5070, "other.test", 60)],
    }
    targets, _, asked = walk(configured(port=5080), zone)
    assert asked == [("A", "pbx.test"), ("AAAA", "pbx.test")]
    assert places(targets) == [
        ("192.0.2.1", 5080, "udp"),
        ("192.0.2.2", 5080, "udp"),
        ("2001:db8::1", 5080, "udp"),
    ]
    assert [target.ttl for target in targets] == [60, 60, 90]


def test_3_1_naptr_leads_to_srv_leads_to_addresses() -> None:
    zone: Zone = {
        ("NAPTR", "pbx.test"): [
            Pointer(20, 1, "s", "SIP+D2U", "_sip._udp.pbx.test", 500),
            Pointer(10, 1, "S", "SIPS+D2T", "_sips._tcp.pbx.test", 500),
            Pointer(1, 1, "u", "E2U+sip", "!^.*$!", 500),
            Pointer(1, 2, "s", "SIP+D2S", "_sip._sctp.pbx.test", 500),
            Pointer(30, 1, "a", "sip+d2t", "c.test", 500),
        ],
        ("SRV", "_sips._tcp.pbx.test"): [Service(1, 0, 5061, "a.test", 400)],
        ("SRV", "_sip._udp.pbx.test"): [
            Service(2, 0, 5070, "b.test", 40),
            Service(1, 0, 5060, "a.test", 400),
        ],
        ("A", "a.test"): [Address("192.0.2.1", 300)],
        ("A", "b.test"): [Address("192.0.2.2", 300)],
        ("A", "c.test"): [Address("192.0.2.3", 600)],
    }
    targets, unresolved, _ = walk(configured(), zone)
    assert places(targets) == [
        ("192.0.2.1", 5061, "tls"),
        ("192.0.2.1", 5060, "udp"),
        ("192.0.2.2", 5070, "udp"),
        ("192.0.2.3", 5060, "tcp"),
    ]
    assert [target.ttl for target in targets] == [300, 300, 40, 500]
    assert unresolved == ""


def test_rfc_5922_a_certificate_bears_the_configured_name_not_the_srv_target() -> None:
    zone: Zone = {
        ("SRV", "_sips._tcp.pbx.test"): [Service(1, 0, 5061, "a.elsewhere.test", 60)],
        ("A", "a.elsewhere.test"): [Address("192.0.2.1", 60)],
    }
    [target], _, _ = walk(configured(transport="tls"), zone)
    assert target.tls_name == "pbx.test"
    [target], _, _ = walk(configured(transport="tls", tls_name="sip.test"), zone)
    assert target.tls_name == "sip.test"


def test_3_1_without_naptr_the_first_transport_with_srv_is_taken() -> None:
    zone: Zone = {
        ("SRV", "_sip._tcp.pbx.test"): [Service(1, 0, 5070, "a.test", 60)],
        ("SRV", "_sips._tcp.pbx.test"): [Service(1, 0, 5071, "a.test", 60)],
        ("A", "a.test"): [Address("192.0.2.1", 60)],
        ("A", "pbx.test"): [Address("192.0.2.9", 60)],
    }
    targets, _, asked = walk(configured(), zone)
    assert places(targets) == [("192.0.2.1", 5070, "tcp")]
    assert ("A", "pbx.test") not in asked


def test_3_1_without_any_srv_it_is_the_addresses_by_udp() -> None:
    targets, _, asked = walk(configured(), {("A", "pbx.test"): [Address("192.0.2.9", 60)]})
    assert places(targets) == [("192.0.2.9", 5060, "udp")]
    assert asked[0] == ("NAPTR", "pbx.test")
    assert asked[-1] == ("AAAA", "pbx.test")


@pytest.mark.parametrize(
    ("transport", "service", "port"),
    [
        ("udp", "_sip._udp", 5060),
        ("tcp", "_sip._tcp", 5060),
        ("tcp_preferred", "_sip._tcp", 5060),
        ("tls", "_sips._tcp", 5061),
    ],
)
def test_s2_a_fixed_transport_asks_for_its_srv_then_for_addresses(
    transport: str, service: str, port: int
) -> None:
    zone: dict[tuple[str, str], list[Record]] = {("A", "pbx.test"): [Address("192.0.2.9", 60)]}
    targets, _, asked = walk(configured(transport=transport), zone)
    assert places(targets) == [("192.0.2.9", port, transport)]
    assert asked[0] == ("SRV", f"{service}.pbx.test")
    zone["SRV", f"{service}.pbx.test"] = [Service(1, 1, 5099, "PBX.test.", 60)]
    targets, _, _ = walk(configured(transport=transport), zone)
    assert places(targets) == [("192.0.2.9", 5099, transport)]


def test_an_srv_that_says_no_is_not_circumvented_by_the_address() -> None:
    zone: Zone = {
        ("SRV", "_sip._udp.pbx.test"): [Service(0, 0, 0, "", 60)],
        ("A", "pbx.test"): [Address("192.0.2.9", 60)],
    }
    targets, unresolved, _ = walk(configured(transport="udp"), zone)
    assert targets == []
    assert "not offered" in unresolved


def test_one_srv_target_without_address_leaves_the_others() -> None:
    zone: Zone = {
        ("SRV", "_sip._udp.pbx.test"): [
            Service(1, 0, 5060, "gone.test", 60),
            Service(2, 0, 5060, "a.test", 60),
        ],
        ("A", "a.test"): [Address("192.0.2.1", 60)],
    }
    targets, unresolved, _ = walk(configured(transport="udp"), zone)
    assert places(targets) == [("192.0.2.1", 5060, "udp")]
    assert unresolved == ""


def test_no_address_is_told_in_the_words_of_the_addresses() -> None:
    targets, unresolved, _ = walk(configured(), {})
    assert targets == []
    assert unresolved == "No A of pbx.test. No AAAA of pbx.test."


def test_one_place_stands_there_once_and_a_name_for_sixteen_at_most() -> None:
    zone: Zone = {("A", "pbx.test"): [Address(f"192.0.2.{n % 20}", 60) for n in range(100)]}
    targets, _, _ = walk(configured(port=5060), zone)
    assert len(targets) == 16 == len({target.address for target in targets})


def test_s5_weights_share_out_the_first_place() -> None:
    records = [
        Service(1, 10, 5060, "a", 60),
        Service(1, 30, 5060, "b", 60),
        Service(1, 60, 5060, "c", 60),
        Service(0, 0, 5060, "first", 60),
    ]
    random = Random(1)
    orders = [[r.target for r in drawn(records, random.random)] for _ in range(10_000)]
    assert {order[0] for order in orders} == {"first"}
    share = Counter(order[1] for order in orders)
    assert share["a"] == pytest.approx(1000, abs=150)
    assert share["b"] == pytest.approx(3000, abs=250)
    assert share["c"] == pytest.approx(6000, abs=250)


def test_s5_a_weight_of_zero_still_has_a_small_chance() -> None:
    records = [Service(1, 9, 5060, "a", 60), Service(1, 0, 5060, "b", 60)]
    random = Random(1)
    first = Counter(drawn(records, random.random)[0].target for _ in range(10_000))
    assert 500 < first["b"] < 1500


def test_nothing_is_drawn_where_nothing_is_to_be_decided() -> None:
    records = [Service(2, 5, 5060, "b", 60), Service(1, 5, 5060, "a", 60)]
    assert [record.target for record in drawn(records, never)] == ["a", "b"]


services = st.builds(
    Service,
    st.integers(0, 3),
    st.integers(0, 65535),
    st.just(5060),
    st.text(max_size=3),
    st.just(60),
)


@given(st.lists(services, max_size=8), st.randoms(use_true_random=False))
def test_s5_every_record_is_drawn_once_and_in_order_of_priority(
    records: list[Service], random: Random
) -> None:
    order = drawn(records, random.random)
    assert Counter(order) == Counter(records)
    assert [r.priority for r in order] == sorted(r.priority for r in records)


def test_targets_of_one_record_share_a_rank() -> None:
    zone: Zone = {
        ("SRV", "_sip._udp.pbx.test"): [
            Service(1, 0, 5060, "a.test", 60),
            Service(2, 0, 5060, "b.test", 60),
        ],
        ("A", "a.test"): [Address("192.0.2.1", 60), Address("192.0.2.2", 60)],
        ("A", "b.test"): [Address("192.0.2.3", 60)],
    }
    targets, _, _ = walk(configured(transport="udp"), zone)
    ranks = [target.rank for target in targets]
    assert ranks[0] == ranks[1] < ranks[2]
    assert Kind.A == "A"
