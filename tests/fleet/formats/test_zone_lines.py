"""A group's own DNS records as lines of a zone file: read as dig prints them, told by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.formats import dns_cache, zone_lines
from fleet.formats.dns_cache import DnsRow

DIG = """
; <<>> DiG 9.18 <<>> NAPTR pbx.example
pbx.example.\t\t300\tIN\tNAPTR\t10 50 "s" "SIP+D2U" "" _sip._udp.pbx.example.
_sip._udp.pbx.example. 600 IN SRV 1 10 5060 a.pbx.example.   ; the first
A.pbx.example A 192.0.2.10
"""
HOST = st.sampled_from(["pbx.example", "_sip._udp.pbx.example", "a", "xn--bcher-kva.example"])
NUMBER = st.integers(0, 65535)
TTL = st.integers(dns_cache.TTL, dns_cache.LONGEST_TTL)
ROW = st.one_of(
    st.builds(DnsRow, st.just("A"), HOST, TTL, address=st.ip_addresses(v=4).map(str)),
    st.builds(
        DnsRow,
        *(st.just("SRV"), HOST, TTL),
        **{"priority": NUMBER, "weight": NUMBER, "port": st.integers(1, 65535), "target": HOST},
    ),
    st.builds(
        DnsRow,
        *(st.just("NAPTR"), HOST, TTL),
        **{"order": NUMBER, "preference": NUMBER, "flags": st.sampled_from("SAUP")},
        **{"service": st.sampled_from(["SIP+D2U", "SIPS+D2T"]), "replacement": HOST},
    ),
)


def test_what_dig_prints_is_read() -> None:
    rows, wrong = zone_lines.read(DIG)
    assert wrong == []
    naptr, srv, a = rows
    assert (naptr.order, naptr.flags, naptr.service) == (10, "S", "SIP+D2U")
    assert naptr.replacement == srv.name == "_sip._udp.pbx.example"
    assert (srv.ttl, srv.priority, srv.weight, srv.port) == (600, 1, 10, 5060)
    assert a == DnsRow("A", "a.pbx.example", 300, address="192.0.2.10")


@given(st.lists(ROW, max_size=12))
def test_what_is_written_is_read_back(rows: list[DnsRow]) -> None:
    assert zone_lines.read(zone_lines.written(rows)) == (rows, [])


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    rows, wrong = zone_lines.read(text)
    assert rows or wrong or not any(zone_lines._words(line) for line in text.splitlines())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pbx.example", "The type must be A, SRV or NAPTR, not ''."),
        ("pbx.example 300 IN MX 10 mail", "The type must be A, SRV or NAPTR, not 'MX'."),
        ("pbx.example A", "After A come address."),
        ("pbx.example SRV 1 5060 a", "After SRV come priority, weight, port, target."),
        ("pbx.example 60 A 192.0.2.1", "The ttl must be a whole number from 300 to 536870912"),
        ("pbx.example A ::1", "The address must be an IPv4 address, not '::1'."),
        ('p. NAPTR 1 1 "s" "SIP+D2U" "!x!y!" .', 'The regexp must be "": handsets use none.'),
        ('pbx.example A "192.0.2.1', "A quotation mark is not closed."),
    ],
)
def test_what_is_wrong_is_told_by_its_line(line: str, said: str) -> None:
    rows, (wrong,) = zone_lines.read(f"a.example A 192.0.2.1\n\n{line}\n")
    assert len(rows) == 1
    assert wrong.startswith(f"Line 3: {said}")


def test_more_than_a_handset_takes_are_told() -> None:
    lines = "\n".join(f"a{n}.example A 192.0.2.{n}" for n in range(13))
    assert zone_lines.read(lines)[1] == ["A group has at most 12 records of type A, not 13."]
