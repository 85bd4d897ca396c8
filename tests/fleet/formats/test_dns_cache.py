"""A group's own DNS records: what a file says, and what is refused."""

import pytest

from fleet.formats import dns_cache, fleet_file
from fleet.formats.dns_cache import DnsRow

GROUP = """\
groups:
  - name: ward
    mode: failover
    servers: [{address: pbx.example, transport: DNSnaptr}]
    dns_cache:
"""


def test_records_of_each_type_are_read_with_the_fields_of_their_type() -> None:
    records = """\
      - {type: a, name: A.pbx.example., address: 192.0.2.10}
      - {type: SRV, name: _sip._udp.pbx.example, ttl: 600, priority: 1, weight: 10, port: 5060,
         target: a.pbx.example}
      - {type: NAPTR, name: pbx.example, order: 10, preference: 20, flags: S, service: sip+d2u,
         replacement: _sip._udp.pbx.example}
"""
    rows, wrong = fleet_file.read("f.yaml", (GROUP + records).encode())
    assert wrong == []
    assert rows.groups[0].dns_cache == (
        DnsRow("A", "a.pbx.example", 300, address="192.0.2.10"),
        DnsRow("SRV", "_sip._udp.pbx.example", 600, "", 1, 10, 5060, "a.pbx.example"),
        DnsRow(
            *("NAPTR", "pbx.example"),
            order=10,
            preference=20,
            flags="S",
            service="SIP+D2U",
            replacement="_sip._udp.pbx.example",
        ),
    )
    assert rows.groups[0].servers is not None
    assert rows.groups[0].servers[0].port == 0


def test_every_fault_has_its_row_and_field() -> None:
    records = """\
      - {type: MX, name: pbx.example}
      - {type: A, name: pbx.example, address: "::1", port: 5060}
      - type: SRV
        name: pbx example
        ttl: 299
        port: 0
      - {type: NAPTR, name: pbx.example, flags: X, service: [a], replacement: b.example}
      - just text
"""
    _, wrong = fleet_file.read("f.yaml", (GROUP + records).encode())
    found = {(fault.row, fault.field.removeprefix("groups[1].dns_cache")) for fault in wrong}
    assert found == {
        (6, "[1].type"),
        (7, "[2].address"),
        (7, "[2].port"),
        (8, "[3].target"),
        (9, "[3].name"),
        (10, "[3].ttl"),
        (11, "[3].port"),
        (12, "[4].flags"),
        (12, "[4].service"),
        (13, "[5]"),
    }


def test_a_group_has_at_most_twelve_records_of_a_type() -> None:
    line = "      - {{type: A, name: pbx.example, address: 192.0.2.{}}}\n"
    enough = GROUP + "".join(line.format(n) for n in range(1, 13))
    assert fleet_file.read("f.yaml", enough.encode())[1] == []
    [fault] = fleet_file.read("f.yaml", (enough + line.format(13)).encode())[1]
    assert "at most 12 records of type A" in fault.message


@pytest.mark.parametrize("given", [True, [], {}, 1.5])
def test_odd_values_of_the_api_are_refused_not_raised(given: object) -> None:
    row, wrong = dns_cache.read({"type": "A", "name": given, "address": given})
    assert row is None
    assert set(wrong) == {"name", "address"}
