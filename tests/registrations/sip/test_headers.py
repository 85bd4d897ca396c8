"""Single headers: Via, CSeq, Contact, Expires, Retry-After."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrations.sip import headers
from registrations.sip.errors import SipParseError
from registrations.sip.headers import Via
from registrations.values import ListedContact


@pytest.mark.parametrize(
    "value",
    [
        "SIP/2.0/UDP Host:5062;branch=z9hG4bKa;rport",
        "SIP/2.0/UDP host:5062;rport;branch=z9hG4bKa",
        "SIP / 2.0 / UDP  host : 5062 ; Branch = z9hG4bKa",
        "SIP/2.0/UDP host:5062;branch=z9hG4bKa,SIP/2.0/UDP other;branch=z9hG4bKb",
    ],
)
def test_a_via_says_who_sent_the_request_and_its_branch(value: str) -> None:
    assert headers.parse_via(value) == Via("host:5062", "z9hG4bKa")


def test_a_via_may_lack_a_branch_but_not_a_sender() -> None:
    assert headers.parse_via("SIP/2.0/UDP host") == Via("host", "")
    with pytest.raises(SipParseError):
        headers.parse_via("SIP/2.0/UDP;branch=z9hG4bKa")


@pytest.mark.parametrize(
    ("values", "count"),
    [(["a"], 1), (["a", "b"], 2), (["a, b"], 2), (['a;x="1,2"'], 1), (["a", "b,c"], 3)],
)
def test_vias_are_counted_over_lines_and_commas(values: list[str], count: int) -> None:
    assert headers.count_vias(values) == count


def test_cseq_is_a_number_and_a_method() -> None:
    assert headers.parse_cseq("7  REGISTER") == (7, "REGISTER")


@pytest.mark.parametrize("value", ["", "REGISTER", "x REGISTER", "99999999999 REGISTER"])
def test_what_is_no_cseq_is_refused(value: str) -> None:
    with pytest.raises(SipParseError):
        headers.parse_cseq(value)


@pytest.mark.parametrize(
    ("value", "contact"),
    [
        ("<sip:a@b>;expires=60", ListedContact("sip:a@b", 60)),
        ("sip:a@b;expires=60", ListedContact("sip:a@b", 60)),
        ("sip:a@b", ListedContact("sip:a@b", None)),
        ('"A <x>, B" <sip:a@b;lr>;q=1', ListedContact("sip:a@b;lr", None)),
        ("Bob <sip:a@b>", ListedContact("sip:a@b", None)),
        (
            '< sip:a@b >;+sip.instance="<urn:uuid:1>";Expires="5"',
            ListedContact("sip:a@b", 5, "urn:uuid:1"),
        ),
        ('sip:a@b;+sip.instance="<urn:uuid:1>"', ListedContact("sip:a@b", None, "urn:uuid:1")),
    ],
)
def test_a_contact_in_every_spelling(value: str, contact: ListedContact) -> None:
    assert headers.parse_contacts([value]) == [contact]


def test_contacts_are_read_over_lines_and_commas() -> None:
    listed = headers.parse_contacts(["<sip:a@b>;expires=1, <sip:c@d>;expires=2", "sip:e@f"])
    assert [contact.uri for contact in listed] == ["sip:a@b", "sip:c@d", "sip:e@f"]


@pytest.mark.parametrize(
    "bad",
    ["", "<>", "<sip:a@b", '"x" sip:a@b<', "<sip:a\x01@b>", '<sip:a@b>;x="y', '"<sip:a@b>"'],
)
def test_an_unreadable_contact_does_not_hide_the_others(bad: str) -> None:
    listed = headers.parse_contacts([bad, "<sip:a@b>"])
    assert ListedContact("sip:a@b", None) in listed
    assert len(listed) == 1


def test_an_unreadable_list_of_contacts_is_passed_over() -> None:
    assert headers.parse_contacts(['<sip:a@b>, "x']) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ("0", 0), ("-1", 3600), ("soon", 3600), ("", 3600), ("9" * 20, 2**32 - 1)],
)
def test_r11_malformed_expires_is_an_hour_and_large_ones_are_clipped(
    text: str, seconds: int
) -> None:
    assert headers.expires_seconds(text) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("120 (in maintenance)", 120),
        ("120;duration=60", 120),
        ("120 (a;b) ;duration=60", 120),
        ("18000", 18000),
        ("soon", None),
        ("", None),
        ("-5", None),
    ],
)
def test_s7_retry_after_with_comment_and_duration(value: str, seconds: int | None) -> None:
    assert headers.parse_retry_after(value) == seconds


@given(st.lists(st.text(st.characters(exclude_characters="\r\n")), max_size=4))
def test_no_contact_header_raises(values: list[str]) -> None:
    for contact in headers.parse_contacts(values):
        assert contact.uri.isprintable()
