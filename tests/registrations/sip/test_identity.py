"""Whom a certificate is for (RFC 5922 section 7)."""

from typing import Any

import pytest

from registrations.sip.identity import is_for, names_in


def certificate(*alternatives: tuple[str, str], common_name: str = "pbx.example") -> dict[str, Any]:
    found: dict[str, Any] = {"subject": ((("commonName", common_name),),)}
    if alternatives:
        found["subjectAltName"] = alternatives
    return found


@pytest.mark.parametrize(
    ("alternative", "name"),
    [
        (("DNS", "PBX.example"), "pbx.EXAMPLE."),
        (("URI", "sip:pbx.example"), "pbx.example"),
        (("IP Address", "192.0.2.1"), "192.0.2.1"),
        (("IP Address", "2001:DB8:0:0:0:0:0:1"), "2001:db8::1"),
    ],
)
def test_a_dns_name_a_sip_uri_and_an_address_are_identities(
    alternative: tuple[str, str], name: str
) -> None:
    assert is_for(certificate(alternative, common_name="x"), name)


@pytest.mark.parametrize(
    "alternative",
    [
        ("DNS", "*.example"),
        ("DNS", "pbx.example.org"),
        ("URI", "sip:alice@pbx.example"),
        ("URI", "https://pbx.example"),
        ("email", "pbx.example"),
    ],
)
def test_wildcards_persons_and_other_schemes_are_none(alternative: tuple[str, str]) -> None:
    assert not is_for(certificate(alternative, ("DNS", "other")), "pbx.example")


def test_the_common_name_counts_only_where_there_is_nothing_else() -> None:
    assert is_for(certificate(), "pbx.example")
    assert not is_for(certificate(("DNS", "other")), "pbx.example")


def test_a_certificate_without_any_name_is_for_nobody() -> None:
    assert names_in({}) == []
    assert not is_for({}, "pbx.example")
