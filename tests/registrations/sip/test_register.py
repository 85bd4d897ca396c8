"""One binding's client against rules R1 to R22: construction, answers, timers, order of calls."""

import json
from dataclasses import replace

import pytest

from registrations.sip import register
from registrations.sip.errors import SipUsageError
from registrations.sip.message import Response
from registrations.sip.register import Attempt
from registrations.sip.timers import ladder, rfc3261_schedule
from registrations.values import Outcome, Target, Verdict
from tests.registrations.sip.wire import (
    ACCOUNT,
    CHALLENGE,
    CONTACT,
    INSTANCE,
    OTHER,
    SENT_BY,
    TARGET,
    Line,
    Tokens,
    reply,
    response_of,
)


def test_the_request_stands_on_the_wire_as_the_rfc_writes_it() -> None:
    line = Line()
    line.begin()
    assert line.data.decode().split("\r\n") == [
        "REGISTER sip:pbx.example SIP/2.0",
        "Via: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKt3;rport",
        "Max-Forwards: 70",
        "From: <sip:4101@pbx.example>;tag=t2",
        "To: <sip:4101@pbx.example>",
        "Call-ID: t1",
        "CSeq: 1 REGISTER",
        f'Contact: <{CONTACT}>;+sip.instance="<{INSTANCE}>";reg-id=1',
        "Expires: 600",
        "User-Agent: Rollcall",
        "Content-Length: 0",
        "",
        "",
    ]


def test_r1_the_request_uri_is_the_domain_without_a_user() -> None:
    request = Line(account=replace(ACCOUNT, user="ward 4", domain="2001:db8::1")).begin()
    assert request.uri == "sip:[2001:db8::1]"


def test_r2_to_and_from_are_the_aor() -> None:
    request = Line(account=replace(ACCOUNT, user="ward 4")).begin()
    assert request.headers["to"] == ["<sip:ward%204@pbx.example>"]
    assert request.headers["from"][0].startswith("<sip:ward%204@pbx.example>;tag=")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_via_names_the_targets_transport(transport: str) -> None:
    request = Line().begin(target=replace(TARGET, transport=transport))
    assert request.headers["via"][0].startswith(f"SIP/2.0/{transport.upper()} ")


def test_a_handset_without_an_instance_names_none() -> None:
    request = Line(account=replace(ACCOUNT, instance="")).begin()
    assert request.headers["contact"] == [f"<{CONTACT}>"]


def test_what_an_admin_mistyped_cannot_add_a_header() -> None:
    bad = "x>\r\nInjected: 1"
    request = Line(account=replace(ACCOUNT, user=bad, domain=bad, auth_user=bad)).begin()
    assert "injected" not in request.headers


def test_r3_r4_one_call_id_and_rising_cseq_over_servers_and_attempts() -> None:
    line = Line()
    requests = [line.begin()]
    line.bind()
    requests.append(line.begin(target=OTHER))
    line.hear("500 Down")
    requests.append(line.begin())
    assert {request.headers["call-id"][0] for request in requests} == {"t1"}
    assert [request.headers["cseq"][0] for request in requests] == [
        "1 REGISTER",
        "2 REGISTER",
        "3 REGISTER",
    ]


def test_s4_every_request_has_a_branch_of_its_own() -> None:
    line = Line()
    line.begin()
    first = line.client.branch
    line.hear("401 Unauthorized", CHALLENGE)
    line.leave()
    assert first != line.client.branch


def test_r4_retransmissions_are_the_same_bytes() -> None:
    line = Line()
    line.begin()
    line.client.handle_timer(0.5)
    assert line.client.datagrams_to_send() == (line.data,)


def test_r4_cseq_stays_below_2_to_the_31() -> None:
    saved = {"call_id": "old", "from_tag": "old", "cseq": register.CSEQ_LIMIT - 1}
    assert Line(snapshot=saved).begin().headers["cseq"] == [f"{register.CSEQ_LIMIT} REGISTER"]
    fresh = Line(snapshot=saved, cseq_offset=1).begin()
    assert fresh.headers["cseq"] == ["1 REGISTER"]
    assert fresh.headers["call-id"] != ["old"]


def test_r5_no_second_register_while_one_is_unanswered() -> None:
    line = Line()
    line.begin()
    attempt = Attempt(TARGET, SENT_BY, CONTACT, 600, rfc3261_schedule())
    with pytest.raises(SipUsageError):
        line.client.begin(attempt, 0.0)
    line.hear("401 Unauthorized", CHALLENGE)
    with pytest.raises(SipUsageError):
        line.client.begin(attempt, 0.0)
    line.leave()
    line.bind()
    line.begin()


def test_r5_a_permit_nobody_waits_for_is_a_mistake_of_ours() -> None:
    line = Line()
    with pytest.raises(SipUsageError):
        line.client.grant(0.0)
    line.begin()
    with pytest.raises(SipUsageError):
        line.client.grant(0.0)


def test_r6_record_route_in_the_answer_is_ignored() -> None:
    line = Line()
    line.begin()
    line.bind("Record-Route: <sip:10.0.0.1;lr>", f"Contact: <{CONTACT}>;expires=60")
    assert "route" not in line.begin().headers


def test_r7_the_requested_expiry_is_asked_for_on_every_attempt() -> None:
    line = Line()
    assert line.begin(expires=1234).headers["expires"] == ["1234"]
    line.hear("401 Unauthorized", CHALLENGE)
    assert line.leave().headers["expires"] == ["1234"]
    line.bind()
    assert line.begin(expires=1234).headers["expires"] == ["1234"]


@pytest.mark.parametrize("status", ["200 OK", "202 Accepted", "299 Fine"])
def test_any_2xx_is_a_success(status: str) -> None:
    line = Line()
    line.begin(now=5.0)
    outcome = line.hear(status, f"Contact: <{CONTACT}>;expires=300", now=5.25)
    assert outcome == Outcome(
        Verdict.BOUND, started_at=5.0, ended_at=5.25, code=int(status[:3]), answer=status,
        expires=300,
    )  # fmt: skip
    assert line.client.outcome() is None


def test_r8_the_granted_time_may_differ_from_the_requested() -> None:
    line = Line()
    line.begin(expires=3600)
    assert line.bind(f"Contact: <{CONTACT}>;expires=7200").expires == 7200


def test_r9_a_2xx_without_our_contact_is_an_error_with_a_sentence() -> None:
    line = Line()
    line.begin()
    outcome = line.bind("X: no contact")
    assert (outcome.verdict, outcome.code, outcome.expires) == (Verdict.ERROR, 200, None)
    assert "not registered" in outcome.sentence


def test_t11_r12_423_is_followed_once_and_remembered_for_that_server() -> None:
    line = Line()
    line.begin(expires=600)
    assert line.hear("423 Interval Too Brief", "Min-Expires: 1800") is None
    assert (line.client.wants_permit, line.client.is_retry) == (True, True)
    request = line.leave()
    assert (request.headers["expires"], request.headers["cseq"]) == (["1800"], ["2 REGISTER"])
    assert line.bind(f"Contact: <{CONTACT}>").expires == 1800
    saved = json.loads(json.dumps(line.client.snapshot()))
    again = Line(snapshot=saved)
    assert again.begin(expires=600).headers["expires"] == ["1800"]
    again.bind()
    assert again.begin(expires=3600).headers["expires"] == ["3600"]
    again.bind()
    assert again.begin(expires=600, target=OTHER).headers["expires"] == ["600"]


@pytest.mark.parametrize(
    "line_423", ["X: none", "Min-Expires: soon", "Min-Expires: 86401", "Min-Expires: 600",
                 "Min-Expires: 60", "Min-Expires: 0"]
)  # fmt: skip
def test_r12_a_423_that_cannot_be_followed_is_an_error(line_423: str) -> None:
    line = Line()
    line.begin(expires=600)
    outcome = line.hear("423 Interval Too Brief", line_423)
    assert outcome is not None
    assert (outcome.verdict, outcome.code) == (Verdict.ERROR, 423)


def test_r12_a_423_with_a_min_expires_already_satisfied_does_not_loop() -> None:
    line = Line()
    line.begin(expires=600)
    line.hear("423 Interval Too Brief", "Min-Expires: 1800")
    line.leave()
    outcome = line.hear("423 Interval Too Brief", "Min-Expires: 3600")
    assert outcome is not None
    assert outcome.verdict is Verdict.ERROR


def test_r12_a_day_is_the_most_a_423_can_ask() -> None:
    line = Line()
    line.begin(expires=600)
    line.hear("423 Interval Too Brief", "Min-Expires: 86400")
    assert line.leave().headers["expires"] == ["86400"]


def test_r13_a_423_to_an_hour_or_more_is_followed_all_the_same() -> None:
    line = Line()
    line.begin(expires=3600)
    line.hear("423 Interval Too Brief", "Min-Expires: 7200")
    assert line.leave().headers["expires"] == ["7200"]


def test_r14_a_fetch_has_no_contact_and_changes_nothing() -> None:
    line = Line()
    request = line.begin(contact=None)
    assert "contact" not in request.headers
    assert "expires" not in request.headers
    outcome = line.bind("Contact: <sip:4101@10.0.0.9>;expires=50")
    assert [contact.uri for contact in outcome.others] == ["sip:4101@10.0.0.9"]


def test_r14_a_fetch_refused_with_423_is_an_error() -> None:
    line = Line()
    line.begin(contact=None)
    outcome = line.hear("423 Interval Too Brief", "Min-Expires: 1800")
    assert outcome is not None
    assert outcome.verdict is Verdict.ERROR


def test_r15_a_removal_names_our_own_contact_never_a_star() -> None:
    saved = {"min_expires": {"1": 1800}}
    line = Line(snapshot=saved)
    request = line.begin(expires=0)
    assert request.headers["expires"] == ["0"]
    assert request.headers["contact"][0].startswith(f"<{CONTACT}>")
    outcome = line.bind("X: nobody left")
    assert outcome.sentence == "The server removed the registration (200 OK)."


def test_r15_a_423_does_not_turn_a_removal_into_a_registration() -> None:
    line = Line()
    line.begin(expires=0)
    outcome = line.hear("423 Interval Too Brief", "Min-Expires: 1800")
    assert outcome is not None
    assert outcome.verdict is Verdict.ERROR


def test_t16_r16_a_restart_goes_on_above_every_number_that_may_have_been_sent() -> None:
    line = Line()
    line.begin()
    saved = json.loads(json.dumps(line.client.snapshot()))
    tidy = Line(snapshot=saved).begin()
    crashed = Line(snapshot=saved, cseq_offset=100).begin()
    assert (tidy.headers["call-id"], tidy.headers["cseq"]) == (["t1"], ["2 REGISTER"])
    assert (crashed.headers["call-id"], crashed.headers["cseq"]) == (["t1"], ["102 REGISTER"])
    assert tidy.headers["from"] == crashed.headers["from"] == ["<sip:4101@pbx.example>;tag=t2"]


def test_r17_r20_after_a_timeout_nothing_more_is_sent() -> None:
    line = Line()
    line.begin(schedule=ladder(3, 500))
    for at in (0.5, 1.0, 1.5):
        assert line.client.get_timer() == at
        line.client.handle_timer(at)
        assert line.client.datagrams_to_send() == (line.data,)
    assert line.client.get_timer() == 2.0
    line.client.handle_timer(2.0)
    outcome = line.client.outcome()
    assert outcome == Outcome(
        Verdict.SILENT,
        0.0,
        2.0,
        sentence="The server 127.0.0.2:5060 did not answer within 2 s.",
        asked_at=1.5,
    )
    assert (line.client.get_timer(), line.client.branch, line.client.target) == (None, None, None)
    line.client.handle_timer(99.0)
    assert line.client.datagrams_to_send() == ()


def test_100_trying_then_nothing_says_so() -> None:
    line = Line()
    line.begin(schedule=ladder(3, 500))
    assert line.hear("100 Trying") is None
    assert line.client.get_timer() == 0.5
    line.client.handle_timer(31.9)
    assert line.client.outcome() is None
    line.client.handle_timer(32.0)
    outcome = line.client.outcome()
    assert outcome is not None
    assert outcome.verdict is Verdict.SILENT
    assert outcome.sentence == ("The server said 100 Trying but gave no final answer within 32 s.")


def test_r20_a_transport_failure_ends_the_attempt_at_once() -> None:
    line = Line()
    line.begin(target=Target(3, "2001:db8::1", 5060))
    line.client.transport_failed("connection refused", 0.2)
    assert line.client.outcome() == Outcome(
        Verdict.UNREACHABLE,
        0.0,
        0.2,
        sentence="The server [2001:db8::1]:5060 could not be reached: connection refused.",
    )
    line.client.transport_failed("again", 0.3)
    assert line.client.outcome() is None


def test_r20_a_transport_may_fail_before_the_request_left() -> None:
    line = Line()
    line.client.begin(Attempt(TARGET, SENT_BY, CONTACT, 600, rfc3261_schedule()), 1.0)
    line.client.transport_failed("no route", 2.0)
    outcome = line.client.outcome()
    assert outcome is not None
    assert (outcome.verdict, outcome.started_at) == (Verdict.UNREACHABLE, 1.0)


def test_t10_503_is_busy_with_its_retry_after() -> None:
    line = Line()
    line.begin()
    outcome = line.hear("503 Service Unavailable", "Retry-After: 120 (upgrade)")
    assert outcome is not None
    assert (outcome.verdict, outcome.code, outcome.retry_after) == (Verdict.BUSY, 503, 120)


@pytest.mark.parametrize(
    "status", ["302 Moved", "403 Forbidden", "408 Timeout", "486 Busy", "500 Oops", "606 No"]
)
def test_every_outcome_but_bound_has_a_sentence(status: str) -> None:
    line = Line()
    line.begin()
    outcome = line.hear(status)
    assert outcome is not None
    assert outcome.answer == status
    assert outcome.sentence.endswith(f"({status}).")


@pytest.mark.parametrize(
    "stranger",
    [
        {"via": "SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKforged;rport"},
        {"via": "SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKt3;rport"},
        {"call_id": "forged"},
        {"cseq": "1 OPTIONS"},
        {"cseq": "2 REGISTER"},
    ],
)
def test_an_answer_to_something_else_changes_nothing(stranger: dict[str, str]) -> None:
    line = Line()
    line.begin()
    before = line.client.snapshot()
    for status in ("100 Trying", "200 OK", "401 Unauthorized", "423 Too Brief", "403 Forbidden"):
        answer = reply(line.data, status, CHALLENGE, "Min-Expires: 1800", **stranger)
        line.client.receive(response_of(answer), 0.1)
        assert line.client.outcome() is None
    assert line.client.snapshot() == before
    assert line.client.get_timer() == 0.5
    assert not line.client.wants_permit


def test_late_and_doubled_answers_change_nothing() -> None:
    line = Line()
    line.begin()
    doubled = response_of(reply(line.data, "401 Unauthorized", CHALLENGE))
    line.client.receive(doubled, 0.1)
    line.client.receive(doubled, 0.1)
    line.leave()
    line.client.receive(doubled, 0.2)
    assert not line.client.wants_permit
    assert line.bind().verdict is Verdict.BOUND
    line.client.receive(doubled, 0.3)
    assert line.client.outcome() is None


def test_an_answer_before_anything_was_asked_changes_nothing() -> None:
    line = Line()
    line.client.receive(Response(200, "OK", {}), 0.0)
    assert line.client.outcome() is None


def test_waiting_for_a_permit_runs_no_timer() -> None:
    line = Line()
    line.client.begin(Attempt(TARGET, SENT_BY, CONTACT, 600, rfc3261_schedule()), 0.0)
    assert (line.client.wants_permit, line.client.is_retry) == (True, False)
    assert (line.client.get_timer(), line.client.branch) == (None, None)
    assert line.client.target == TARGET
    line.client.handle_timer(100.0)
    assert line.client.outcome() is None
    line.leave(now=50.0)
    assert line.client.get_timer() == 50.5
    assert line.bind(now=50.1).started_at == 50.0


@pytest.mark.parametrize("when", ["waiting", "trying", "challenged"])
def test_stop_while_an_attempt_is_in_flight(when: str) -> None:
    line = Line()
    if when == "waiting":
        line.client.begin(Attempt(TARGET, SENT_BY, CONTACT, 600, rfc3261_schedule()), 0.0)
    else:
        line.begin()
    if when == "challenged":
        line.hear("401 Unauthorized", CHALLENGE)
    line.client.abandon()
    assert not line.client.wants_permit
    assert (line.client.outcome(), line.client.branch, line.client.target) == (None, None, None)
    if line.data:
        line.hear("200 OK", f"Contact: <{CONTACT}>;expires=60")
    assert line.client.outcome() is None
    sent = 0 if when == "waiting" else 1
    assert line.begin().headers["cseq"] == [f"{sent + 1} REGISTER"]


def test_abandoning_takes_back_what_has_not_left() -> None:
    line = Line()
    line.client.begin(Attempt(TARGET, SENT_BY, CONTACT, 600, rfc3261_schedule()), 0.0)
    line.client.grant(0.0)
    line.client.abandon()
    assert line.client.datagrams_to_send() == ()


def test_a_retransmission_that_is_overtaken_by_the_answer_stays_at_home() -> None:
    line = Line()
    line.begin()
    line.client.handle_timer(0.5)
    line.hear("401 Unauthorized", CHALLENGE)
    assert line.client.datagrams_to_send() == ()
    line.leave()
    line.client.handle_timer(0.5)
    line.client.transport_failed("gone", 0.6)
    assert line.client.datagrams_to_send() == ()


def test_two_lines_share_nothing() -> None:
    first = Line(tokens=Tokens("a")).begin()
    second = Line(tokens=Tokens("b")).begin()
    assert first.headers["call-id"] != second.headers["call-id"]
    assert first.headers["via"] != second.headers["via"]
