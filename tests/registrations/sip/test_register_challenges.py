"""A binding's client and challenges: rules D1 to D12 as conversations."""

import json
from dataclasses import replace

import pytest

from registrations.sip import register
from registrations.sip.message import Request
from registrations.values import Outcome, Verdict
from tests.registrations.sip.wire import (
    ACCOUNT,
    CHALLENGE,
    CONTACT,
    OTHER,
    PROXY_CHALLENGE,
    Line,
    authorization,
)


def www(nonce: str, more: str = "", realm: str = "pbx") -> str:
    return f'WWW-Authenticate: Digest realm="{realm}", nonce="{nonce}", qop="auth"{more}'


def challenged(line: Line, *challenges: str, status: str = "401 Unauthorized") -> Request:
    """Answer with a challenge and return what the client sends next."""
    assert line.hear(status, *challenges) is None
    return line.leave()


def bound_line() -> Line:
    """A line that registered once and holds nonce n1 with one use."""
    line = Line()
    line.begin()
    challenged(line, CHALLENGE)
    line.bind()
    return line


def refused(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.verdict is Verdict.REFUSED


def test_d1_a_401_is_answered_with_authorization() -> None:
    line = Line()
    assert "authorization" not in line.begin().headers
    request = challenged(line, CHALLENGE)
    shown = authorization(request)
    assert shown["username"] == '"nurse"'
    assert shown["realm"] == '"pbx"'
    assert shown["nonce"] == '"n1"'
    assert shown["nc"] == "00000001"
    assert request.headers["cseq"] == ["2 REGISTER"]
    assert "proxy-authorization" not in request.headers
    assert line.bind().verdict is Verdict.BOUND


def test_d1_a_407_is_answered_with_proxy_authorization() -> None:
    line = Line()
    line.begin()
    request = challenged(line, PROXY_CHALLENGE, status="407 Proxy Authentication Required")
    assert authorization(request, "proxy-authorization")["realm"] == '"edge"'
    assert "authorization" not in request.headers
    assert line.bind().verdict is Verdict.BOUND


def test_d1_a_407_and_then_a_401_leave_both_in_one_request() -> None:
    line = Line()
    line.begin()
    challenged(line, PROXY_CHALLENGE, status="407 Proxy Authentication Required")
    request = challenged(line, CHALLENGE)
    assert authorization(request, "proxy-authorization")["nc"] == "00000002"
    assert authorization(request)["nc"] == "00000001"
    assert line.bind().verdict is Verdict.BOUND
    refresh = line.begin()
    assert authorization(refresh, "proxy-authorization")["nc"] == "00000003"
    assert authorization(refresh)["nc"] == "00000002"


def test_d1_a_proxy_that_challenges_again_and_again_does_not_recurse() -> None:
    line = Line()
    line.begin()
    challenged(line, PROXY_CHALLENGE, status="407 Proxy Authentication Required")
    assert refused(line.hear("407 Proxy Authentication Required", PROXY_CHALLENGE))


def test_d1_a_401_that_names_a_proxy_challenge_only_cannot_be_answered() -> None:
    line = Line()
    line.begin()
    outcome = line.hear("401 Unauthorized", PROXY_CHALLENGE)
    assert outcome is not None
    assert outcome.verdict is Verdict.ERROR


def test_t12_d2_a_stale_refresh_is_repeated_once_silently() -> None:
    line = bound_line()
    assert authorization(line.begin())["nc"] == "00000002"
    request = challenged(line, www("n2", ", stale=true"))
    shown = authorization(request)
    assert (shown["nonce"], shown["nc"]) == ('"n2"', "00000001")
    assert request.headers["cseq"] == ["4 REGISTER"]
    assert line.bind().verdict is Verdict.BOUND


def test_d2_a_restarted_registrar_that_forgot_its_nonces_refuses_nobody() -> None:
    line = bound_line()
    line.begin()
    assert authorization(challenged(line, www("n2")))["nonce"] == '"n2"'
    assert line.bind().verdict is Verdict.BOUND


def test_t13_d2_credentials_on_a_nonce_of_this_attempt_and_refused_are_refused() -> None:
    line = Line()
    line.begin()
    challenged(line, www("n1"))
    outcome = line.hear("401 Unauthorized", www("n2"))
    assert outcome is not None
    assert (outcome.verdict, outcome.code) == (Verdict.REFUSED, 401)
    assert outcome.sentence == ("The server refused the user name or password (401 Unauthorized).")
    assert line.client.datagrams_to_send() == ()


def test_d2_pre_emptive_credentials_get_one_more_answer_and_no_second() -> None:
    line = bound_line()
    line.begin()
    challenged(line, www("n2"))
    assert refused(line.hear("401 Unauthorized", www("n3")))


def test_d2_stale_excuses_credentials_of_this_attempt_once() -> None:
    line = Line()
    line.begin()
    challenged(line, www("n1"))
    assert authorization(challenged(line, www("n2", ", stale=true")))["nonce"] == '"n2"'
    assert refused(line.hear("401 Unauthorized", www("n3", ", stale=true")))


def test_d2_a_copy_taken_for_a_replay_is_no_wrong_password() -> None:
    line = Line()
    line.begin()
    challenged(line, www("n1"))
    line.client.handle_timer(0.6)
    assert len(line.client.datagrams_to_send()) == 1, "its answer was lost: it is sent again"
    assert authorization(challenged(line, www("n2")))["nonce"] == '"n2"'
    assert refused(line.hear("401 Unauthorized", www("n3")))


def test_d2_a_server_that_invents_realms_is_stopped() -> None:
    line = Line()
    line.begin()
    for number in range(register.MAX_CHALLENGES):
        challenged(line, www("n", realm=f"realm{number}"))
    assert refused(line.hear("401 Unauthorized", www("n", realm="one more")))


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found"])
def test_d3_403_and_404_are_refusals_of_this_server(status: str) -> None:
    line = bound_line()
    line.begin()
    assert refused(line.hear(status))


def test_d3_after_a_refusal_the_next_attempt_starts_without_credentials() -> None:
    line = bound_line()
    line.begin()
    challenged(line, www("n2"))
    assert refused(line.hear("401 Unauthorized", www("n3")))
    assert "authorization" not in line.begin().headers


def test_d3_a_refusal_leaves_other_servers_nonces_alone() -> None:
    line = bound_line()
    line.begin(target=OTHER)
    challenged(line, www("m1"))
    assert refused(line.hear("401 Unauthorized", www("m2")))
    assert authorization(line.begin())["nonce"] == '"n1"'


def test_d4_the_digest_uri_is_the_request_uri() -> None:
    line = Line(account=replace(ACCOUNT, domain="registrar1"))
    line.begin()
    request = challenged(line, CHALLENGE)
    assert authorization(request)["uri"] == f'"{request.uri}"'


def test_d5_qop_with_a_comma_in_its_quotes_picks_auth() -> None:
    line = Line()
    line.begin()
    value = 'WWW-Authenticate: Digest realm="pbx", nonce="n1", qop="auth,auth-int"'
    assert authorization(challenged(line, value))["qop"] == "auth"


def test_d5_without_qop_there_is_no_cnonce_and_no_count() -> None:
    line = Line()
    line.begin()
    shown = authorization(challenged(line, 'WWW-Authenticate: Digest realm="pbx", nonce="n1"'))
    assert not {"qop", "nc", "cnonce"} & set(shown)


def test_d6_the_count_rises_per_request_and_a_new_nonce_starts_at_1() -> None:
    line = bound_line()
    counts = []
    for _ in range(3):
        counts.append(authorization(line.begin())["nc"])
        line.bind()
    line.begin()
    counts.append(authorization(challenged(line, www("n2")))["nc"])
    assert counts == ["00000002", "00000003", "00000004", "00000001"]


def test_d6_a_retransmission_uses_no_count() -> None:
    line = bound_line()
    line.begin()
    line.client.handle_timer(0.5)
    line.bind()
    assert authorization(line.begin())["nc"] == "00000003"


def test_d6_a_lost_lease_leaps_over_counts_that_may_have_been_sent() -> None:
    saved = json.loads(json.dumps(bound_line().client.snapshot()))
    assert authorization(Line(snapshot=saved).begin())["nc"] == "00000002"
    assert authorization(Line(snapshot=saved, cseq_offset=100).begin())["nc"] == "00000066"


def test_d7_a_refresh_carries_credentials_unasked() -> None:
    line = bound_line()
    request = line.begin()
    assert authorization(request)["nonce"] == '"n1"'
    assert (request.headers["cseq"], line.client.is_retry) == (["3 REGISTER"], False)


def test_d7_nextnonce_replaces_the_nonce() -> None:
    line = bound_line()
    line.begin()
    line.bind(f"Contact: <{CONTACT}>;expires=60", 'Authentication-Info: nextnonce="n2"')
    shown = authorization(line.begin())
    assert (shown["nonce"], shown["nc"]) == ('"n2"', "00000001")


def test_d8_a_nonce_goes_to_the_server_that_gave_it_only() -> None:
    line = bound_line()
    assert "authorization" not in line.begin(target=OTHER).headers


def test_d9_of_several_challenges_the_topmost_supported_is_answered() -> None:
    line = Line()
    line.begin()
    request = challenged(
        line,
        www("a", ", algorithm=SHA-1"),
        www("b", ", algorithm=SHA-256"),
        www("c", ", algorithm=MD5"),
    )
    shown = authorization(request)
    assert (shown["algorithm"], shown["nonce"]) == ("SHA-256", '"b"')
    assert len(shown["response"]) == 64 + 2


def test_two_realms_in_one_401_are_both_answered() -> None:
    line = Line()
    line.begin()
    request = challenged(line, www("a", realm="one"), www("b", realm="two"))
    assert len(request.headers["authorization"]) == 2


@pytest.mark.parametrize(
    "challenge",
    [
        'WWW-Authenticate: Basic realm="pbx"',
        'WWW-Authenticate: Digest realm="pbx", nonce="n", qop="auth-int"',
        'WWW-Authenticate: Digest realm="pbx"',
        "X: no challenge at all",
    ],
)
def test_d11_a_challenge_we_do_not_speak_is_an_error_with_a_sentence(challenge: str) -> None:
    line = Line()
    line.begin()
    outcome = line.hear("401 Unauthorized", challenge)
    assert outcome is not None
    assert outcome.verdict is Verdict.ERROR
    assert outcome.sentence == (
        "The server asks for an authentication that Rollcall does not use (401 Unauthorized)."
    )


def test_d12_md5_is_not_answered_where_it_is_refused() -> None:
    line = Line(allow_md5=False)
    line.begin()
    outcome = line.hear("401 Unauthorized", www("n", ", algorithm=MD5"))
    assert outcome is not None
    assert outcome.verdict is Verdict.ERROR
    assert outcome.sentence == (
        "The server offers only MD5, which the group's policy refuses (401 Unauthorized)."
    )
    assert not line.client.wants_permit, "no password was used for any answer"


def test_d12_a_server_that_offers_both_is_answered_by_the_stronger_one() -> None:
    for allow_md5 in (True, False):
        line = Line(allow_md5=allow_md5)
        line.begin()
        line.hear("401 Unauthorized", www("weak"), www("strong", ", algorithm=SHA-256"))
        given = authorization(line.leave())
        assert (given["nonce"], given["algorithm"]) == ('"strong"', "SHA-256")


def test_d12_nobody_can_talk_it_down_to_md5_midway() -> None:
    line = Line(allow_md5=False)
    line.begin()
    line.hear("401 Unauthorized", www("n1", ", algorithm=SHA-256"))
    line.leave()
    outcome = line.hear("401 Unauthorized", www("n2", ", algorithm=MD5, stale=true"))
    assert outcome is not None
    assert "offers only MD5" in outcome.sentence


def test_d12_a_nonce_answered_with_md5_is_forgotten_once_md5_is_refused() -> None:
    before = bound_line()
    before.begin()
    assert b"Authorization: Digest" in before.data
    before.bind()
    line = Line(allow_md5=False, snapshot=before.client.snapshot())
    line.begin()
    assert b"Authorization" not in line.data


def test_a_realm_that_changes_midway_is_answered_once_and_the_old_one_no_more() -> None:
    line = bound_line()
    line.begin()
    request = challenged(line, www("n2", realm="moved"))
    assert authorization(request)["realm"] == '"moved"'
    outcome = line.hear("401 Unauthorized", www("n3", realm="moved"))
    assert outcome is not None
    assert outcome.verdict is Verdict.REFUSED


def test_a_line_without_an_auth_user_signs_with_its_extension() -> None:
    line = Line(account=replace(ACCOUNT, auth_user=""))
    line.begin()
    assert authorization(challenged(line, CHALLENGE))["username"] == '"4101"'


def test_a_retry_with_credentials_says_that_it_is_one() -> None:
    line = Line()
    line.begin()
    line.hear("401 Unauthorized", CHALLENGE)
    assert (line.client.wants_permit, line.client.is_retry) == (True, True)
    assert line.client.get_timer() is None
    line.leave(now=3.0)
    assert line.client.get_timer() == 3.5
    assert line.bind(now=3.1).started_at == 0.0


def test_a_423_and_a_401_in_one_attempt_are_both_followed() -> None:
    line = Line()
    line.begin(expires=60)
    challenged(line, CHALLENGE)
    assert line.hear("423 Interval Too Brief", "Min-Expires: 300") is None
    request = line.leave()
    assert request.headers["expires"] == ["300"]
    assert authorization(request)["nc"] == "00000002"
    assert line.bind(f"Contact: <{CONTACT}>").expires == 300


def test_no_password_shows_where_it_could_be_logged_or_saved() -> None:
    line = bound_line()
    line.begin()
    assert "secret" not in line.data.decode()
    shown = [repr(getattr(line.client, name)) for name in dir(line.client)]
    assert "secret" not in " ".join(shown) + json.dumps(line.client.snapshot())
