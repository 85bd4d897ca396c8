"""N1, N2: where a request came from, as the server's answer says."""

import pytest

from registrations.sip.nat import seen_as

VIA = "SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bK1"


@pytest.mark.parametrize(
    ("told", "seen"),
    [
        ("", ""),
        (";rport", ""),
        (";rport=5062;received=10.0.0.5", ""),
        (";rport=61002;received=203.0.113.9", "203.0.113.9:61002"),
        (";received=203.0.113.9", "203.0.113.9:5062"),
        (";RPORT=61002", "10.0.0.5:61002"),
        ("; received = 2001:db8::9 ; rport=5062", "[2001:db8::9]:5062"),
    ],
)
def test_n2_a_translation_is_known_by_received_and_rport(told: str, seen: str) -> None:
    assert seen_as(VIA + told, "10.0.0.5:5062") == seen


def test_n2_brackets_of_ipv6_are_no_translation() -> None:
    via = "SIP/2.0/UDP [2001:DB8::5]:5062;branch=z9hG4bK1;received=2001:db8::5;rport=5062"
    assert seen_as(via, "[2001:db8::5]:5062") == ""
