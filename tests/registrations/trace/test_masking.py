"""What may be kept of a message: never the password, nor anything made of it, nor a nonce."""

import re
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrations.trace import pack, unpack
from registrations.trace.masking import MOST_BYTES, masked
from tests.registrations.trace.wire import Exchange, account

PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F), min_size=8, max_size=24)
REQUEST = (
    "REGISTER sip:pbx.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:4;branch=z9hG4bK1\r\n{}\r\n"
    "Content-Length: 0\r\n\r\n"
)


def only(header: str) -> str:
    """The masked message that carries this header."""
    return masked([REQUEST.format(header).encode()])[0]


@given(password=PASSWORDS, realm=st.sampled_from(["pbx.example", 'a \\"quoted\\" realm', "r, s=t"]))
def test_password_ha1_response_and_nonces_never_appear(password: str, realm: str) -> None:
    exchange = Exchange(account(f"pw{password}"), realm)
    exchange.attempt()
    exchange.attempt()
    sent = b"".join(data for _, _, _, data in exchange.noted if isinstance(data, bytes)).decode()
    secrets = set(re.findall(r'(?:nonce|response|opaque)="([^"]+)"', sent))
    assert len(secrets) >= 4, "a nonce, a cnonce and two responses at least"
    ha1 = md5(f"4101:{realm}:pw{password}".encode()).hexdigest()
    packed = pack(exchange.noted, exchange.ended)
    kept = "\n".join(event.text for event in unpack(packed).events)
    for secret in {f"pw{password}", ha1, *secrets}:
        assert secret not in kept
    assert 'username="4101"' in kept and "nc=0000000" in kept


@pytest.mark.parametrize(
    "header",
    [
        'Authorization: Digest username="4101", nonce="SECRETS", response="SECRETS", nc=00000001',
        'authorization : Digest nonce="SECRETS",response=SECRETS',
        'Authorization:\r\n Digest username="4101",\r\n\tresponse="SECRETS"',
        'Proxy-Authorization: Digest cnonce="SECRETS", opaque="SECRETS"',
        'WWW-Authenticate: Digest realm="pbx", nonce="SECRETS", opaque="SECRETS"',
        'Proxy-Authenticate: Digest nonce="SECRETS"',
        'Authentication-Info: nextnonce="SECRETS", rspauth="SECRETS", qop=auth',
        'Proxy-Authentication-Info: nextnonce="SECRETS"',
        "Authorization: Basic SECRETS=",
        "Authorization: SECRETS",
        "Authorization: SECRETS1=SECRETS",
        'Authorization: Digest unheard="SECRETS", SECRETS',
        'Authorization: Digest SECRETS="1", realm="pbx"',
        'WWW-Authenticate: Digest realm="never closed, nonce="SECRETS", x="SECRETS"',
        'WWW-Authenticate: Digest realm=", response=SECRETS',
    ],
)
def test_whatever_a_header_of_credentials_holds_only_what_is_harmless_is_kept(header: str) -> None:
    assert "SECRETS" not in only(header)


def test_what_helps_to_understand_a_challenge_is_kept() -> None:
    said = only('WWW-Authenticate: Digest realm="ward 4", nonce="abcdefgh", stale=true, qop="auth"')
    assert 'WWW-Authenticate: Digest realm="ward 4", nonce=***, stale=true, qop="auth"' in said


def test_a_server_that_repeats_our_credentials_elsewhere_gives_nothing_away() -> None:
    mine = REQUEST.format('Authorization: Digest response="0123456789abcdef"')
    echo = "SIP/2.0 400 Bad 0123456789abcdef\r\nX-Debug: got 0123456789abcdef\r\n\r\n"
    texts = masked([mine.encode(), echo.encode()])
    assert "0123456789abcdef" not in "".join(texts)
    assert "X-Debug: got ***" in texts[1]


def test_a_body_is_not_kept_and_that_is_said() -> None:
    said = masked([b"SIP/2.0 400 Bad\r\nContent-Length: 6\r\n\r\nsecret"])
    assert said == ["SIP/2.0 400 Bad\nContent-Length: 6\n[the rest of this message is not kept]"]


def test_a_message_is_cut_and_what_was_cut_through_stays_hidden() -> None:
    filler = "X: " + "x" * (MOST_BYTES - 90)
    said = only(f'{filler}\r\nAuthorization: Digest response="SECRETS-that-are-very-long')
    assert "SECRETS" not in said and said.endswith("[the rest of this message is not kept]")
    assert len(said) < MOST_BYTES + 50


@given(st.binary(max_size=300))
def test_any_bytes_make_a_text(data: bytes) -> None:
    [text] = masked([data])
    assert "\r" not in text
