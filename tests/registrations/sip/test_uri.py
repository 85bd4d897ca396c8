"""URIs and their comparison: RFC 3261 section 19.1.4's own examples, then the field's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrations.sip.errors import SipParseError
from registrations.sip.uri import Uri, parse_uri, same_uri

SAME = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
    ("sip:a@[2001:DB8:0:0::1]:5060", "sip:a@[2001:db8::1]:5060"),
]
DIFFERENT = [
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
    ("sip:bob@biloxi.com;maddr=1.2.3.4", "sip:bob@biloxi.com"),
    ("sip:bob@biloxi.com;user=phone", "sip:bob@biloxi.com"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_r8_equal_uris_are_the_same(one: str, other: str) -> None:
    assert same_uri(parse_uri(one), parse_uri(other))
    assert same_uri(parse_uri(other), parse_uri(one))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_r8_other_uris_are_not_the_same(one: str, other: str) -> None:
    assert not same_uri(parse_uri(one), parse_uri(other))
    assert not same_uri(parse_uri(other), parse_uri(one))


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("sip:registrar1", "registrar1", None),
        ("sip:registrar1:5070;lr", "registrar1", 5070),
        ("sip:[2001:db8::1]:5060", "[2001:db8::1]", 5060),
        ("sip:a@[2001:db8::1]", "[2001:db8::1]", None),
        ("SIPS:4101@PBX.example", "pbx.example", None),
    ],
)
def test_compose_host_names_and_ipv6_are_hosts(text: str, host: str, port: int | None) -> None:
    uri = parse_uri(text)
    assert (uri.host, uri.port) == (host, port)


def test_a_uri_is_the_value_it_was_constructed_as() -> None:
    assert parse_uri("sip:al%69ce:pw@host:5061;Transport=UDP;lr?a=B") == Uri(
        scheme="sip",
        user="alice:pw",
        host="host",
        port=5061,
        params={"transport": "udp", "lr": ""},
        headers=frozenset({"a=b"}),
    )


@pytest.mark.parametrize(
    "text",
    [
        *("", "sip", "sip:", "tel:4101", "sip:a@", "*", "sip:a@host:port", "sip:a@host:70000"),
        *("sip:a@[::1", "sip:a@[zz]", "sip:a@ho\tst", "sip:a@:5060", 'sip:a@h;x="y'),
    ],
)
def test_what_is_no_sip_uri_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_uri(text)


@given(st.text() | st.text().map("sip:".__add__))
def test_any_text_is_a_uri_or_a_parse_error(text: str) -> None:
    try:
        uri = parse_uri(text)
    except SipParseError:
        return
    assert same_uri(uri, uri)
