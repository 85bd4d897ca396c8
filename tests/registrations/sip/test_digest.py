"""Digest arithmetic and the choice among challenges: rules D4 to D12 and the RFCs' own vectors."""

import json
import time

import pytest

from registrations.sip import digest
from registrations.sip.digest import Challenge, Credentials, choose, parse_challenge

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def line(challenge: Challenge, *, nc: int = 0, user: str = "Mufasa", **more: str) -> str:
    credentials = Credentials(False, challenge, more.get("cnonce", CNONCE), nc)
    return digest.authorization(
        credentials,
        user=user,
        password=more.get("password", "Circle of Life"),
        method=more.get("method", "GET"),
        uri=more.get("uri", "/dir/index.html"),
    )


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_vectors_of_rfc_7616(algorithm: str, response: str) -> None:
    challenge = Challenge("http-auth@example.org", NONCE, algorithm=algorithm, qop=True)
    assert f'response="{response}"' in line(challenge)


def test_the_vector_of_rfc_2617() -> None:
    challenge = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", qop=True)
    text = line(challenge, cnonce="0a4f113b", password="Circle Of Life")
    assert 'response="6629fae49393a05397450978507c4ef1"' in text


def test_sha_512_256_digests_are_64_hex_digits() -> None:
    challenge = Challenge("api@example.org", NONCE, algorithm="SHA-512-256", qop=True)
    response = line(challenge).split('response="')[1].split('"')[0]
    assert len(response) == 64
    assert (
        response
        != line(Challenge("api@example.org", NONCE, algorithm="SHA-256", qop=True))
        .split('response="')[1]
        .split('"')[0]
    )


def test_d4_uri_is_quoted_and_qop_and_nc_are_not() -> None:
    text = line(Challenge("r", "n", qop=True), uri="sip:pbx.example")
    assert 'uri="sip:pbx.example"' in text
    assert ", qop=auth, nc=00000001, " in text


def test_d5_no_qop_is_the_rfc_2069_form() -> None:
    challenge = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093")
    text = line(challenge, password="CircleOfLife")
    # RFC 2069 errata 749 gives this response for its example.
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in text
    assert "qop" not in text
    assert "nc=" not in text
    assert "cnonce" not in text


def test_d6_the_nonce_count_is_8_hex_digits_and_never_used_twice() -> None:
    credentials = Credentials(False, Challenge("r", "n", qop=True), "c")

    def next_line() -> str:
        return digest.authorization(credentials, user="u", password="p", method="M", uri="sip:x")

    first, second = next_line(), next_line()
    assert "nc=00000001" in first
    assert "nc=00000002" in second
    credentials.nc = 0xFFFE
    assert "nc=0000ffff" in next_line()


def test_d7_a_next_nonce_starts_counting_at_1_again() -> None:
    credentials = Credentials(False, Challenge("r", "n", "o", "MD5", True, stale=True), "c", nc=7)
    credentials.renew("m")
    assert credentials.challenge == Challenge("r", "m", "o", "MD5", True)
    assert credentials.nc == 0


@pytest.mark.parametrize(
    ("value", "nonce"),
    [
        ('nextnonce="abc", qop=auth', "abc"),
        ('qop=auth, rspauth="0"', None),
        ('nextnonce=""', None),
        ('nextnonce="', None),
        (f'nextnonce="{"n" * 2000}"', None),
    ],
)
def test_d7_only_a_usable_next_nonce_is_taken(value: str, nonce: str | None) -> None:
    assert digest.next_nonce(value) == nonce


def digest_value(algorithm: str, realm: str = "r") -> str:
    return f'Digest realm="{realm}", nonce="{algorithm}", algorithm={algorithm}'


@pytest.mark.parametrize(
    ("algorithms", "chosen"),
    [
        (["SHA-512-256", "SHA-256", "MD5"], "SHA-512-256"),
        (["SHA-256", "SHA-512-256"], "SHA-256"),
        (["MD5", "SHA-256"], "SHA-256"),
        (["MD5-sess", "MD5", "SHA-256-sess", "SHA-256"], "SHA-256-sess"),
        (["SHA-1", "SHA-256", "MD5"], "SHA-256"),
        (["AKAv1-MD5", "MD5"], "MD5"),
    ],
)
def test_d9_the_topmost_supported_challenge_is_used_but_none_of_md5_where_another_is_there(
    algorithms: list[str], chosen: str
) -> None:
    (challenge,) = choose(digest_value(algorithm) for algorithm in algorithms)
    assert challenge.algorithm == chosen


def test_d9_each_realm_gets_its_own() -> None:
    challenges = choose([digest_value("MD5", "a"), digest_value("MD5", "b")])
    assert [challenge.realm for challenge in challenges] == ["a", "b"]


@pytest.mark.parametrize("token", ["md5", "Md5", "sha-256", "MD5-SESS", "sha-512-256-sess"])
def test_d10_algorithm_tokens_are_compared_without_case_and_echoed_as_written(token: str) -> None:
    (challenge,) = choose([digest_value(token)])
    assert f", algorithm={token}" in line(challenge)


def test_d10_an_absent_algorithm_is_md5_and_stays_absent() -> None:
    absent = line(Challenge("r", "n", qop=True))
    named = line(Challenge("r", "n", algorithm="md5", qop=True))
    assert "algorithm" not in absent
    assert absent.split("response=")[1][:34] == named.split("response=")[1][:34]


def test_d10_a_session_hashes_nonce_and_cnonce_into_its_key() -> None:
    def secret(*parts: str) -> str:
        return digest._hash("md5", ":".join(parts))

    a1 = secret(secret("u", "r", "p"), "n", "c")
    expected = secret(a1, "n", "00000001", "c", "auth", secret("M", "sip:x"))
    challenge = Challenge("r", "n", algorithm="MD5-sess", qop=True)
    text = line(challenge, user="u", password="p", method="M", uri="sip:x", cnonce="c")
    assert f'response="{expected}"' in text


def test_d10_a_session_without_qop_still_names_its_cnonce() -> None:
    assert f'cnonce="{CNONCE}"' in line(Challenge("r", "n", algorithm="MD5-sess"))


@pytest.mark.parametrize("value", ["Basic realm=x", "Bearer abc", "", "Digest"])
def test_d11_only_digest_is_answered(value: str) -> None:
    assert parse_challenge(value) is None


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "md5"])
def test_d12_md5_can_be_refused(algorithm: str) -> None:
    assert choose([digest_value(algorithm)], allow_md5=False) == []
    assert choose(['Digest realm="r", nonce="n"'], allow_md5=False) == []
    assert len(choose([digest_value(algorithm), digest_value("SHA-256")], allow_md5=False)) == 1


@pytest.mark.parametrize(
    ("value", "qop"),
    [
        ('Digest realm="r", nonce="n", qop="auth,auth-int"', True),
        ('Digest realm="r", nonce="n", qop="auth-int, AUTH"', True),
        ('Digest realm="r",nonce="n",qop=auth', True),
        ('DIGEST  realm = "r" , nonce = "n"', False),
        ('Digest realm="r", nonce="n", qop=""', False),
    ],
)
def test_a_comma_inside_quoted_qop_does_not_break_the_challenge(value: str, qop: bool) -> None:
    assert parse_challenge(value) == Challenge("r", "n", qop=qop)


def test_a_challenge_keeps_what_stood_between_its_quotes() -> None:
    value = r'Digest realm="a \"b\", c", nonce="n=,", opaque="", stale=TRUE, realm="other"'
    challenge = Challenge(r"a \"b\", c", "n=,", "", stale=True)
    assert parse_challenge(value) == challenge
    assert r'realm="a \"b\", c", nonce="n=,"' in line(challenge)
    assert ', opaque=""' in line(challenge)


@pytest.mark.parametrize(
    "value",
    [
        'Digest realm="r"',
        'Digest nonce="n"',
        'Digest realm="", nonce="n"',
        'Digest realm="r", nonce="n',
        'Digest realm="r" nonce="n"',
        'Digest realm="r", nonce="n", qop="auth-int"',
        'Digest realm="r", nonce="n", algorithm=SHA3',
        'Digest realm="r", nonce="a\x01b"',
        f'Digest realm="r", nonce="{"n" * 2000}"',
        'Digest realm="r", nonce="n", "x"',
    ],
)
def test_a_challenge_we_cannot_answer_is_none(value: str) -> None:
    assert parse_challenge(value) is None


@pytest.mark.parametrize(
    "realm", ["pbx, ward", "a=b", "x" * 1024, "x" * 1025, "a\tb", "a\x00b", "é"]
)
def test_the_usual_challenge_is_read_as_any_other_spelling_of_it(realm: str) -> None:
    usual = f'Digest realm="{realm}", nonce="n;1", qop="auth"'
    read = parse_challenge(usual)
    assert read == parse_challenge(usual.replace("Digest realm", "digest  realm"))
    assert (read is None) == (len(realm) > 1024 or not realm.isprintable())


def test_a_user_name_cannot_break_out_of_its_quotes() -> None:
    text = line(Challenge("r", "n"), user='a"b\r\nX: y')
    assert 'username="a\\"b??X: y"' in text
    assert text.count("\r\n") == 1


@pytest.mark.parametrize(
    "value", ["a" * 60_000, "a=" + " " * 60_000 + '"', 'a="' + "\\" * 60_000, 'a="b\\"' * 9_000]
)
def test_no_challenge_makes_parsing_crawl(value: str) -> None:
    started = time.process_time()
    assert parse_challenge(f"Digest {value}") is None
    assert time.process_time() - started < 1.0


def test_credentials_survive_json_and_leap_over_what_a_lost_lease_used() -> None:
    credentials = Credentials(True, Challenge("r", "n", None, "SHA-256", True), "c", nc=3)
    saved = json.loads(json.dumps(digest.to_json(credentials)))
    assert digest.from_json(saved, 0) == credentials
    assert digest.from_json(saved, 100).nc == 103


def test_nonces_do_not_show_in_logs() -> None:
    shown = repr(Credentials(False, Challenge("r", "hidden", "hidden too"), "hidden as well"))
    assert "hidden" not in shown
