"""Numbers, quotes and lists, and that none of them can be made to raise or to crawl."""

import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrations.sip import grammar
from registrations.sip.errors import SipParseError


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("", None), ("-1", None), ("1.5", None), ("²", None), ("٣", None)],
)
def test_numbers_are_ascii_digits_only(text: str, number: int | None) -> None:
    assert grammar.parse_number(text) == number
    assert grammar.parse_delta_seconds(text) == number


def test_a_number_has_a_bounded_length() -> None:
    assert grammar.parse_number("1" * 10) == 1_111_111_111
    assert grammar.parse_number("1" * 11) is None
    assert grammar.parse_number("1" * 5000) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (" 3600 ", 3600),
        ("4294967295", 4_294_967_295),
        ("4294967296", 4_294_967_295),
        ("9" * 5000, 4_294_967_295),
        ("0" * 5000 + "7", 7),
        ("0000", 0),
    ],
)
def test_r11_delta_seconds_are_clipped_to_32_bits(text: str, seconds: int) -> None:
    assert grammar.parse_delta_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a;b", ["a", "b"]),
        ('a="x;y";b', ['a="x;y"', "b"]),
        (r'a="x\";y";b', [r'a="x\";y"', "b"]),
        ('"a";"b;c"d;e', ['"a"', '"b;c"d', "e"]),
        ("", [""]),
    ],
)
def test_separators_in_quotes_do_not_split(text: str, parts: list[str]) -> None:
    assert grammar.split_quoted(text, ";") == parts


@pytest.mark.parametrize("text", ['a="b', '"', 'a="b\\"', '"a";"'])
def test_a_quote_that_does_not_end_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        grammar.split_quoted(text, ";")


def test_addresses_split_outside_quotes_and_brackets_only() -> None:
    text = '"Smith, J" <sip:a,b@c>;q=1, <sip:d@e>,sip:f@g'
    assert grammar.split_addresses(text) == [
        '"Smith, J" <sip:a,b@c>;q=1',
        " <sip:d@e>",
        "sip:f@g",
    ]


def test_parameters_take_the_first_of_doubled_names_and_lose_their_quotes() -> None:
    params = grammar.parse_params(';A=1; b ;c="x;y";a=2;self=1')
    assert params == {"a": "1", "b": "", "c": "x;y", "self": "1"}


@pytest.mark.parametrize(
    ("text", "plain"),
    [('"a"', "a"), (r'"a\"b\\c"', 'a"b\\c'), ("a", "a"), ('"', '"'), ('""', ""), ('"a', '"a')],
)
def test_unquoting_takes_quotes_and_escapes_off(text: str, plain: str) -> None:
    assert grammar.unquote(text) == plain


def test_control_characters_cannot_leave_a_quoted_string() -> None:
    assert grammar.quote('a"b\\c\r\nInjected: 1') == '"a\\"b\\\\c??Injected: 1"'


@given(st.text())
def test_quote_and_unquote_are_inverse_but_for_control_characters(text: str) -> None:
    assert grammar.unquote(grammar.quote(text)) == grammar.printable(text, "?")


@pytest.mark.parametrize(
    ("user", "written"),
    [("4101", "4101"), ("ward 4", "ward%204"), ("a@b", "a%40b"), ("a\r\nb", "a%0D%0Ab")],
)
def test_a_user_is_escaped_so_that_it_cannot_break_the_uri(user: str, written: str) -> None:
    assert grammar.escape_user(user) == written


@pytest.mark.parametrize(
    ("host", "written"),
    [
        ("pbx.example", "pbx.example"),
        ("pbx:5080", "pbx:5080"),
        ("2001:db8::1", "[2001:db8::1]"),
        ("[2001:db8::1]:5060", "[2001:db8::1]:5060"),
        ("a b>\r\nX: y", "a%20b%3E%0D%0AX:%20y"),
    ],
)
def test_a_domain_is_written_so_that_it_cannot_break_the_message(host: str, written: str) -> None:
    assert grammar.escape_host(host) == written


@pytest.mark.parametrize(
    "text", ['"' * 60_001, '\\"' * 30_000, '"\\' * 30_000, "<" * 60_000, ";" * 60_000]
)
@pytest.mark.parametrize(
    "split", [lambda t: grammar.split_quoted(t, ";"), grammar.split_addresses, grammar.parse_params]
)
def test_no_datagram_makes_splitting_crawl(text: str, split: Callable[[str], object]) -> None:
    started = time.process_time()
    with suppress(SipParseError):
        split(text + ",")
    assert time.process_time() - started < 1.0
