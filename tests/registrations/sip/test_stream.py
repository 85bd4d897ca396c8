"""A byte stream cut into messages, however the network cut it before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrations.sip.errors import SipParseError
from registrations.sip.message import MAX_MESSAGE
from registrations.sip.stream import PING, PONG, Framer


def message(body: bytes = b"", name: bytes = b"Content-Length") -> bytes:
    return b"SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\n%s: %d\r\n\r\n%s" % (name, len(body), body)


ONE, TWO = message(), message(b"a\r\n\r\nb", b"l")


def test_each_message_ends_where_its_content_length_says() -> None:
    assert Framer().feed(ONE + TWO + ONE) == [ONE, TWO, ONE]


@given(st.lists(st.integers(0, len(ONE + TWO + PING + ONE)), max_size=20))
def test_how_the_stream_is_cut_changes_nothing(cuts: list[int]) -> None:
    stream = ONE + TWO + ONE
    edges = [0, *sorted(cut for cut in cuts if cut <= len(stream)), len(stream)]
    framer, found = Framer(), []
    for start, end in zip(edges, edges[1:], strict=False):
        found += framer.feed(stream[start:end])
    assert found == [ONE, TWO, ONE]


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_no_bytes_raise_anything_but_sip_parse_error(chunks: list[bytes]) -> None:
    framer = Framer()
    try:
        for chunk in chunks:
            framer.feed(chunk)
    except SipParseError:
        pass


def test_a_message_without_content_length_has_no_body() -> None:
    bare = b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n"
    assert Framer().feed(bare + ONE) == [bare, ONE]


def test_the_answer_to_a_keep_alive_is_heard_at_once() -> None:
    assert Framer().feed(PONG) == [PONG]


def test_a_keep_alive_is_heard_though_it_comes_in_two_halves() -> None:
    framer = Framer()
    assert framer.feed(b"\r") == []
    assert framer.feed(b"\n") == [PONG]
    assert framer.feed(b"\r\n") == [PING]
    assert framer.feed(ONE + PONG) == [ONE, PONG]


@pytest.mark.parametrize("length", [b"-1", b"x", b"", b"1e3", b"99999", b"9" * 400])
def test_a_length_that_is_none_or_too_large_ends_the_connection(length: bytes) -> None:
    with pytest.raises(SipParseError):
        Framer().feed(b"SIP/2.0 200 OK\r\nContent-Length: %s\r\n\r\n" % length)


def test_headers_that_never_end_are_not_kept_for_ever() -> None:
    framer = Framer()
    with pytest.raises(SipParseError):
        for _ in range(MAX_MESSAGE):
            framer.feed(b"X: y\r\n")
