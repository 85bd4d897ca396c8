"""Bytes to messages: what the field sends, what an attacker sends, and the cheap dispatch key."""

import time
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registrations.sip import digest, headers, message
from registrations.sip.errors import SipParseError
from registrations.sip.message import Request, Response, branch_of, parse

OK = (
    b"SIP/2.0 200 OK\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKa;rport=5062\r\n"
    b"CSeq: 1 REGISTER\r\n"
    b"Contact: <sip:a@b>;expires=60\r\n"
    b"Contact: <sip:c@d>\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def test_a_response_is_the_value_it_was_constructed_as() -> None:
    assert parse(OK) == Response(
        code=200,
        reason="OK",
        headers={
            "via": ["SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKa;rport=5062"],
            "cseq": ["1 REGISTER"],
            "contact": ["<sip:a@b>;expires=60", "<sip:c@d>"],
            "content-length": ["0"],
        },
    )


def test_a_request_is_the_value_it_was_constructed_as() -> None:
    parsed = parse(b"MESSAGE sip:a@b SIP/2.0\r\nCall-ID: x\r\nContent-Length: 2\r\n\r\nhi")
    assert parsed == Request(
        "MESSAGE", "sip:a@b", {"call-id": ["x"], "content-length": ["2"]}, b"hi"
    )
    assert parsed.first("call-id") == "x"
    assert parsed.first("via") is None


def test_the_first_of_several_values_is_the_first() -> None:
    parsed = parse(OK)
    assert parsed.first("contact") == "<sip:a@b>;expires=60"
    assert parsed.first("expires") is None


def test_compact_and_oddly_cased_names_are_the_long_ones() -> None:
    parsed = parse(b"SIP/2.0 200 OK\r\nv: 1\r\nM :2\r\nCALL-id:3\r\nX-Own: 4\r\nI: 5\r\n\r\n")
    assert parsed.headers == {
        "via": ["1"],
        "contact": ["2"],
        "call-id": ["3", "5"],
        "x-own": ["4"],
    }


def test_folded_lines_are_one_value() -> None:
    parsed = parse(b"SIP/2.0 200 OK\r\nContact: <sip:a@b>\r\n ;expires=60\r\n\t;q=1\r\n\r\n")
    assert parsed.headers["contact"] == ["<sip:a@b> ;expires=60 ;q=1"]


def test_bare_line_feeds_and_leading_blank_lines_are_tolerated() -> None:
    parsed = parse(b"\r\n\r\nSIP/2.0 180\nVia: x\n\nrest")
    assert parsed == Response(180, "", {"via": ["x"]}, b"rest")


def test_bytes_that_are_not_utf_8_do_not_matter() -> None:
    parsed = parse(b"SIP/2.0 403 Verboten f\xfcr alle\x1b[31m\r\n\r\n")
    assert isinstance(parsed, Response)
    assert parsed.reason == "Verboten f�r alle [31m"


def test_a_body_is_cut_to_its_length() -> None:
    assert parse(b"SIP/2.0 200 OK\r\nl: 2\r\n\r\nabcd").body == b"ab"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"SIP/2.0 200 OK\r\n",
        b"SIP/2.0 20 OK\r\n\r\n",
        b"SIP/2.0 099 Low\r\n\r\n",
        b"SIP/2.0 700 High\r\n\r\n",
        b"SIP/2.0 2000 Long\r\n\r\n",
        "SIP/2.0 ²00 OK\r\n\r\n".encode(),
        b"SIP/3.0 200 OK\r\n\r\n",
        b"REGISTER sip:a\r\n\r\n",
        b"REGISTER sip:a HTTP/1.1\r\n\r\n",
        b"REGISTER  SIP/2.0\r\n\r\n",
        b"REG\x07ISTER sip:a SIP/2.0\r\n\r\n",
        b"SIP/2.0 200 OK\r\nno colon\r\n\r\n",
        b"SIP/2.0 200 OK\r\nVia\r\n\r\n",
        b"SIP/2.0 200 OK\r\n: nameless\r\n\r\n",
        b"SIP/2.0 200 OK\r\n folded: to nothing\r\n\r\n",
        b"SIP/2.0 200 OK\r\nX: a\x00b\r\n\r\n",
        b"SIP/2.0 200 OK\r\nX: a\rInjected: b\r\n\r\n",
        b"SIP/2.0 200 OK\r\nl: 5\r\n\r\nabc",
        b"SIP/2.0 200 OK\r\nl: many\r\n\r\n",
        b"SIP/2.0 200 OK\r\n" + b"X: 1\r\n" * 300 + b"\r\n",
        b"SIP/2.0 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_sip_message_is_refused(data: bytes) -> None:
    with pytest.raises(SipParseError):
        parse(data)


PIECES = st.sampled_from(
    [
        *(b"SIP/2.0 ", b"200 OK", b"REGISTER sip:a SIP/2.0", b"\r\n", b"\r\n\r\n", b"\n", b" "),
        *(b"Via: SIP/2.0/UDP h;branch=", b"v:", b"Content-Length: ", b"9" * 5000, b";self=1"),
        *(b"WWW-Authenticate: Digest ", b'realm="', b'"', b"\\", b",", b"=", b"<", b">", b"\x00"),
        *(b"Contact: ", b";expires=", b"CSeq: ", b"\xff", b"\xc2\xb2", b"%zz"),
    ]
)


@given(st.binary(max_size=2000) | st.lists(PIECES, max_size=40).map(b"".join))
@example(b"SIP/2.0 200 OK\r\nVia: ;self=1\r\n\r\n")
def test_any_bytes_are_a_message_or_a_parse_error(data: bytes) -> None:
    branch_of(data)
    try:
        parsed = parse(data)
    except SipParseError:
        return
    digest.choose(parsed.headers.get("www-authenticate", ()))
    headers.parse_contacts(parsed.headers.get("contact", ()))
    for name, read in (("via", headers.parse_via), ("cseq", headers.parse_cseq)):
        try:
            read(parsed.first(name) or "")
            headers.count_vias(parsed.headers.get("via", []))
        except SipParseError:
            continue


@given(st.lists(PIECES, max_size=40).map(b"".join))
def test_any_bytes_after_a_status_line_are_a_message_or_a_parse_error(rest: bytes) -> None:
    try:
        assert isinstance(parse(b"SIP/2.0 200 OK\r\n" + rest + b"\r\n\r\n"), Response)
    except SipParseError:
        return


@pytest.mark.parametrize(
    "line",
    [
        *(b"X: 1\r\n", b"a\r\n b\r\n", b'Contact: "\r\n', b"WWW-Authenticate: Digest a=\r\n"),
        *(b"Via: a\r\n", b"\r\n ", b":\r\n", b"a:\n \n"),
    ],
)
def test_no_datagram_makes_parsing_crawl(line: bytes) -> None:
    data = b"SIP/2.0 200 OK\r\n" + line * (message.MAX_MESSAGE // len(line) - 10) + b"\r\n\r\n"
    started = time.process_time()
    with suppress(SipParseError):
        parse(data)
    branch_of(data)
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("data", "branch"),
    [
        (OK, "z9hG4bKa"),
        (b"SIP/2.0 200 OK\nv: SIP/2.0/UDP h;rport;BRANCH=z9hG4bKb\n\n", "z9hG4bKb"),
        (b"SIP/2.0 200 OK\r\nTo: x\r\nVIA : SIP/2.0/UDP h;branch=c ;rport\r\n\r\n", "c"),
        (b"SIP/2.0 200 OK\r\nVia: S h;branch=d, S i;branch=e\r\n\r\n", "d"),
        (b"SIP/2.0 200 OK\r\nVia: S h;branch=f", "f"),
        (b"SIP/2.0 200 OK\r\nVia: S h;rport\r\n\r\n", None),
        (b"SIP/2.0 200 OK\r\nVia: S h;branch=\r\n\r\n", None),
        (b"SIP/2.0 200 OK\r\nTo: x\r\n\r\nVia: S h;branch=g", None),
        (b"SIP/2.0 200 OK\nTo: x\n\nVia: S h;branch=g", None),
        (b"SIP/2.0 200 OK", None),
        (b"SIP/2.0 200 OK\r\nTo: x", None),
        (b"OPTIONS sip:a SIP/2.0\r\nVia: S h;branch=h\r\n\r\n", None),
        (b"", None),
    ],
)
def test_the_branch_for_dispatch_is_the_top_vias(data: bytes, branch: str | None) -> None:
    assert branch_of(data) == branch


VIA_PIECES = st.sampled_from(
    [*(b"SIP/2.0/UDP h", b";branch=", b"branch=", b"z9hG4bKi", b";rport", b",", b" ", b"\t", b"=")]
    + [*(b"\r", b"\n", b"\r\n", b"\xff", b"\x0b", b";", b"To: x;branch=k", b"Via: S i;branch=j")]
)


@given(st.lists(VIA_PIECES, max_size=9).map(b"".join))
def test_a_branch_seen_at_a_glance_is_the_one_found_by_reading_on(rest: bytes) -> None:
    usual, other = (b"SIP/2.0 200 OK\r\n" + name + rest for name in (b"Via: ", b"via: "))
    assert branch_of(usual) == branch_of(other)
