"""A group as the guide's parameters: handsets that read them behave as the group says."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.formats.configuration import reading
from fleet.formats.configuration.writing import parameters, site_cfg
from fleet.formats.dns_cache import DnsRow
from fleet.formats.faults import Place
from fleet.formats.policy import PARAMETERS
from fleet.formats.rows import GroupRow, ServerRow
from tests.support import trees
from tests.support.policies import policies
from tests.support.trees import WARD, line

POLICY = {name: parameter.default for name, parameter in PARAMETERS.items()}


def group(mode: str, *servers: ServerRow, **policy: object) -> GroupRow:
    given = POLICY | policy
    return GroupRow(Place("Rollcall"), "Ward 4", mode, servers, given, ())  # type: ignore[arg-type]


def read(given: GroupRow) -> GroupRow:
    files = [
        ("000000000000.cfg", trees.master("[PHONE_MAC_ADDRESS]-ext.cfg, site.cfg")),
        (f"{WARD}-ext.cfg", trees.parameters(line("4101"))),
        ("site.cfg", site_cfg(given).encode()),
    ]
    found = reading.read(files)
    assert (found.faults, found.notes) == ([], [])
    [row] = found.rows.groups
    return row


def test_a_fallback_group_comes_back_as_it_is() -> None:
    servers = (
        ServerRow("pbx.example", 0, "dns_naptr", register=True),
        ServerRow("192.0.2.20", 5080, "tcp", register=False),
    )
    given = group("fallback", *servers, expires=600, fail_back_mode="dns_ttl")
    found = read(given)
    assert (found.mode, found.servers) == ("fallback", servers)
    assert found.policy == {n: v for n, v in given.policy.items() if PARAMETERS[n].guide}


def test_a_failover_group_of_addresses_is_one_name_with_records_of_its_own() -> None:
    servers = [ServerRow(f"192.0.2.{n}", 5060, "udp") for n in (10, 11, 12)]
    found = read(group("failover", *servers, re_register_on=True))
    [server] = found.servers or ()
    assert (found.mode, server.address, server.port) == ("failover", "ward-4.servers.invalid", 5060)
    assert [(r.kind, r.name, r.address) for r in found.dns_cache or ()] == [
        ("A", "ward-4.servers.invalid", f"192.0.2.{n}") for n in (10, 11, 12)
    ]
    assert found.policy["re_register_on"] is True


@pytest.mark.parametrize(
    ("transport", "service"), [("udp", "_sip._udp"), ("tcp", "_sip._tcp"), ("tls", "_sips._tcp")]
)
def test_ports_that_differ_and_names_are_told_by_srv_in_their_order(
    transport: str, service: str
) -> None:
    servers = (ServerRow("192.0.2.10", 5070, transport), ServerRow("b.example", 5080, transport))
    found = read(group("failover", *servers))
    assert [(s.port, s.transport) for s in found.servers or ()] == [(0, transport)]
    records = found.dns_cache or ()
    assert [(r.name, r.priority, r.port, r.target) for r in records if r.kind == "SRV"] == [
        (f"{service}.ward-4.servers.invalid", 1, 5070, "s1.ward-4.servers.invalid"),
        (f"{service}.ward-4.servers.invalid", 2, 5080, "b.example"),
    ]
    assert [(r.name, r.address) for r in records if r.kind == "A"] == [
        ("s1.ward-4.servers.invalid", "192.0.2.10")
    ]


def test_the_records_a_group_has_are_kept() -> None:
    record = DnsRow("A", "pbx.example", 600, "192.0.2.10")
    given = GroupRow(
        *(Place("x"), "Ward", "failover", (ServerRow("pbx.example", 0, "udp"),), POLICY, (record,))
    )
    assert read(given).dns_cache == (record,)


def test_what_is_rollcalls_own_is_not_told_to_handsets() -> None:
    given = parameters(group("failover", ServerRow("192.0.2.10")))
    assert not [name for name in given if "fast_failover" in name or "_" in name]
    assert given["voIpProt.SIP.failoverOn503Response"] == "1"


@st.composite
def groups(draw: Any) -> GroupRow:
    """A fallback group with any policy, or a failover group of one server."""
    mode = draw(st.sampled_from(["fallback", "failover"]))
    hosts = ["a.example", "b.example", "192.0.2.10", "192.0.2.11"]
    most = 3 if mode == "fallback" else 1
    servers = tuple(
        ServerRow(
            host,
            draw(st.sampled_from([5060, 5080])),
            draw(st.sampled_from(["udp", "tcp", "tls"])),
            register=number == 0 or draw(st.booleans()),
        )
        for number, host in enumerate(
            draw(st.lists(st.sampled_from(hosts), min_size=1, max_size=most, unique=True))
        )
    )
    policy = draw(policies(mode))
    return GroupRow(Place("Rollcall"), "Ward 4", mode, servers, policy, ())


@settings(max_examples=60, deadline=None)
@given(groups())
def test_any_policy_comes_back_from_the_guides_parameters(row: GroupRow) -> None:
    found = read(row)
    assert found.servers == row.servers
    assert found.policy == {n: v for n, v in row.policy.items() if PARAMETERS[n].guide}
    again = replace(found, name=row.name, mode=row.mode)
    assert site_cfg(again) == site_cfg(replace(row, policy=found.policy))
