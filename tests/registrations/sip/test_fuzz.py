"""Anything at all from the network: nothing but a parse error, no growth, no amplification.

Bounded in CI; `make fuzz` runs the same at length.
"""

import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registrations.sip import digest, nat, verdicts
from registrations.sip.answering import MOST_ADDED, answer
from registrations.sip.errors import SipParseError
from registrations.sip.headers import parse_contacts, parse_via
from registrations.sip.message import MAX_MESSAGE, Request, Response, branch_of, parse
from registrations.sip.stream import Framer
from tests.registrations.sip.wire import ACCOUNT, CONTACT, INSTANCE, Line, reply
from tests.support import fuzzing
from tests.support.torture import INVALID, MESSAGES, VALID

SOURCE = ("2001:db8:1234:5678:9abc:def0:1234:5678", 65_535)
SECRET = b"secret"

anything = fuzzing.torn() | st.binary(max_size=500)
at_length = fuzzing.examples(600, at_length=1_000_000)


def answered(data: bytes) -> bytes | None:
    """What goes back for a datagram."""
    try:
        asked = parse(data)
    except SipParseError:
        return None
    return answer(asked, SOURCE, secret=SECRET) if isinstance(asked, Request) else None


def read_all(data: bytes) -> None:
    """Read of a message whatever the product reads of one."""
    branch_of(data)
    try:
        said = parse(data)
    except SipParseError:
        return
    if isinstance(said, Request):
        answer(said, SOURCE, secret=SECRET)
        return
    parse_contacts(said.headers.get("contact", ()))
    for name in ("www-authenticate", "proxy-authenticate"):
        digest.choose(said.headers.get(name, ()))
    digest.next_nonce(said.first("authentication-info") or "")
    nat.seen_as(said.first("via") or "", "192.0.2.1:5060")
    with suppress(SipParseError):
        parse_via(said.first("via") or "")
    if said.code >= 300:
        verdicts.read_failure(said, ACCOUNT)
    verdicts.read_success(said, contact=CONTACT, instance=INSTANCE, requested=60)


@pytest.mark.parametrize("data", VALID)
def test_what_is_allowed_is_read_however_strange(data: bytes) -> None:
    assert parse(data)
    read_all(data)


@pytest.mark.parametrize("data", INVALID)
def test_what_is_wrong_is_never_answered(data: bytes) -> None:
    read_all(data)
    assert answered(data) is None


@at_length
@given(anything)
def test_no_message_raises_anything_but_a_parse_error(data: bytes) -> None:
    read_all(data)


@at_length
@given(anything)
@example(b"OPTIONS a:b SIP/2.0\n" + b"v:a\n" * 250 + b"f:<a:b>\nt:<a:b>\ni:c\nCSeq:1 OPTIONS\n\n")
@example(VALID[0].replace(b"night", b"\xff" * 20_000))
def test_no_answer_is_much_longer_than_what_asked_for_it(data: bytes) -> None:
    said = answered(data)
    assert said is None or len(said) <= len(data) + MOST_ADDED
    if said is not None:
        assert isinstance(parse(said), Response), "and it is well-formed itself"
        assert answered(said) is None, "nobody answers an answer"


@at_length
@given(
    st.lists(anything | st.sampled_from([b"\r\n", b"\r\n\r\n"]), max_size=6), st.integers(1, 3000)
)
def test_no_stream_raises_anything_but_a_parse_error_and_none_is_kept_for_ever(
    parts: list[bytes], size: int
) -> None:
    stream, framer = b"".join(parts), Framer()
    with suppress(SipParseError):
        for start in range(0, len(stream), size):
            for one in framer.feed(stream[start : start + size]):
                assert len(one) <= MAX_MESSAGE
                read_all(one)
    assert len(framer) <= MAX_MESSAGE + size


@at_length
@given(data=fuzzing.torn(), code=st.sampled_from([100, 200, 302, 401, 407, 423, 503]))
def test_whatever_a_registrar_answers_the_client_ends_or_waits(data: bytes, code: int) -> None:
    """A torn message behind headers that fit: nothing it says of itself makes the client fail."""
    line = Line()
    line.begin()
    rest = data.partition(b"\n")[2].partition(b"\r\n\r\n")[0]
    fitting = reply(line.data, f"{code} Said").removesuffix(b"Content-Length: 0\r\n\r\n")
    try:
        said = parse(fitting + rest + b"\r\n\r\n")
    except SipParseError:
        return
    assert isinstance(said, Response)
    line.client.receive(said, 0.1)
    assert line.client.outcome() or line.client.wants_permit or line.client.get_timer()
    assert len(str(line.client.snapshot())) < 20_000


def test_memory_does_not_grow_with_what_comes_in() -> None:
    def everything() -> None:
        for data in MESSAGES:
            read_all(data)
            framer = Framer()
            with suppress(SipParseError):
                framer.feed(data)

    everything()
    tracemalloc.start()
    try:
        everything()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            everything()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 64 * 1024
