"""What each final answer means, and that an admin is always told in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrations.sip.headers import parse_contacts
from registrations.sip.message import Response
from registrations.sip.verdicts import (
    answer_text,
    granted_to_the_letter,
    read_failure,
    read_success,
)
from registrations.values import ListedContact, Verdict
from tests.registrations.sip.wire import ACCOUNT, CONTACT, INSTANCE

FOREIGN = "<sip:4101@10.0.0.9:5060>;expires=7000"
OTHER_INSTANCE = "urn:uuid:11111111-0000-1000-8000-00907a000001"


def failure(code: int, reason: str = "Because", **headers: str) -> Response:
    named = {name.replace("_", "-"): [value] for name, value in headers.items()}
    return Response(code, reason, named)


def success(*contacts: str, **headers: str) -> Response:
    named = {name.replace("_", "-"): [value] for name, value in headers.items()}
    return Response(200, "OK", named | ({"contact": list(contacts)} if contacts else {}))


@pytest.mark.parametrize(
    ("code", "verdict", "words"),
    [
        (302, Verdict.ERROR, "offers other addresses"),
        (400, Verdict.ERROR, "did not accept"),
        (403, Verdict.REFUSED, "forbids this handset"),
        (404, Verdict.REFUSED, "does not know sip:4101@pbx.example"),
        (408, Verdict.SILENT, "ran out of time"),
        (423, Verdict.ERROR, "longer registration"),
        (480, Verdict.ERROR, "not available"),
        (500, Verdict.ERROR, "internal fault"),
        (503, Verdict.BUSY, "overloaded or in maintenance"),
        (504, Verdict.ERROR, "internal fault"),
        (603, Verdict.ERROR, "declines"),
    ],
)
def test_each_code_has_a_verdict_and_a_sentence(code: int, verdict: Verdict, words: str) -> None:
    reading = read_failure(failure(code), ACCOUNT)
    assert reading.verdict is verdict
    assert words in reading.sentence
    assert reading.sentence.endswith(f"({code} Because).")


@pytest.mark.parametrize("code", [code for code in range(300, 700) if code not in (401, 407)])
def test_r19_every_code_is_understood_and_an_unknown_one_counts_as_x00(code: int) -> None:
    reading = read_failure(failure(code), ACCOUNT)
    known = {403, 404, 408, 503, 423, 480}
    if code not in known:
        as_x00 = read_failure(failure(code // 100 * 100), ACCOUNT)
        assert reading.verdict is as_x00.verdict
        assert reading.sentence == as_x00.sentence.replace(f"({code // 100}00 ", f"({code} ")
    assert reading.sentence


def test_r18_a_redirect_is_shown_not_followed() -> None:
    reading = read_failure(failure(302, contact="<sip:4101@elsewhere>"), ACCOUNT)
    assert "points to sip:4101@elsewhere" in reading.sentence
    assert "does not follow" in reading.sentence


@pytest.mark.parametrize("code", [404, 413, 480, 486, 500, 503, 600, 603])
def test_s7_retry_after_counts_on_the_codes_that_define_it(code: int) -> None:
    assert read_failure(failure(code, retry_after="120 (busy)"), ACCOUNT).retry_after == 120


@pytest.mark.parametrize("code", [302, 400, 403, 423, 501, 606])
def test_s7_retry_after_means_nothing_on_other_codes(code: int) -> None:
    assert read_failure(failure(code, retry_after="120"), ACCOUNT).retry_after is None


@pytest.mark.parametrize("value", ["", "tomorrow", "-1"])
def test_s7_a_malformed_retry_after_counts_as_absent(value: str) -> None:
    assert read_failure(failure(503, retry_after=value), ACCOUNT).retry_after is None


def test_s8_retry_after_is_clamped_to_an_hour_and_says_so() -> None:
    reading = read_failure(failure(503, retry_after="86400"), ACCOUNT)
    assert reading.retry_after == 3600
    assert "asked for 86400 s" in reading.sentence
    exact = read_failure(failure(503, retry_after="3600"), ACCOUNT)
    assert (exact.retry_after, "asked for" in exact.sentence) == (3600, False)


def test_a_peers_words_are_kept_short() -> None:
    assert len(answer_text(failure(403, "x" * 10_000))) == 200
    assert len(read_failure(failure(403, "x" * 10_000), ACCOUNT).sentence) < 300
    contact = f"<sip:{'x' * 10_000}>"
    assert len(read_failure(failure(302, contact=contact), ACCOUNT).sentence) < 700


@pytest.mark.parametrize(
    ("contacts", "headers", "granted"),
    [
        ([f"<{CONTACT}>;expires=90"], {"expires": "60"}, 90),
        ([f"<{CONTACT}>"], {"expires": "60"}, 60),
        ([f"<{CONTACT}>"], {}, 600),
        ([f"<{CONTACT}>;expires=7200"], {}, 7200),
        ([f"<{CONTACT}>;expires=soon"], {}, 3600),
        ([f"<{CONTACT}>"], {"expires": "soon"}, 3600),
        ([f"<{CONTACT}>;expires=99999999999"], {}, 2**32 - 1),
        ([FOREIGN, f"<{CONTACT}>;expires=90"], {}, 90),
        ([f"{FOREIGN}, <{CONTACT}>"], {"expires": "60"}, 60),
    ],
)
def test_r8_granted_is_own_contact_then_expires_then_requested(
    contacts: list[str], headers: dict[str, str], granted: int
) -> None:
    reading = read_success(
        success(*contacts, **headers), contact=CONTACT, instance=INSTANCE, requested=600
    )
    assert (reading.verdict, reading.expires) == (Verdict.BOUND, granted)


@given(st.text('0123456789;=,"\\\\<> \t\x00expires', max_size=30))
def test_r8_what_is_read_at_a_glance_is_what_reading_it_all_would_find(rest: str) -> None:
    value = f"<{CONTACT}>;expires=60{rest}"
    granted = granted_to_the_letter([value], CONTACT)
    if granted:
        assert parse_contacts([value]) == [ListedContact(CONTACT, granted)]


def test_r8_the_answer_of_most_registrars_is_read_at_a_glance() -> None:
    flow = f'+sip.instance="<{INSTANCE}>";reg-id=1'
    assert granted_to_the_letter([f"<{CONTACT}>;expires=90;{flow}"], CONTACT) == 90
    assert granted_to_the_letter([f"<{CONTACT}>;{flow};expires=90"], CONTACT) == 0
    assert granted_to_the_letter([f"<{CONTACT}>;expires=90", FOREIGN], CONTACT) == 0
    assert granted_to_the_letter([FOREIGN], CONTACT) == 0


@pytest.mark.parametrize(
    "listed",
    [
        f"<{CONTACT};lr>;expires=90",
        "<sip:%34101@127.0.0.1:9000>;expires=90",
        f'<sip:x@10.9.9.9>;expires=90;+sip.instance="<{INSTANCE.upper()}>"',
        "<sip:4101@198.51.100.7:1024>;expires=90",
        f'<{CONTACT}>;expires=90;+sip.instance="<{OTHER_INSTANCE}>"',
    ],
)
def test_r9_own_by_comparison_by_instance_or_alone_and_rewritten(listed: str) -> None:
    reading = read_success(success(listed), contact=CONTACT, instance=INSTANCE, requested=600)
    assert (reading.verdict, reading.expires, reading.others) == (Verdict.BOUND, 90, ())


@pytest.mark.parametrize(
    "contacts",
    [
        [],
        [FOREIGN, "<sip:4101@10.0.0.8>;expires=5"],
        [f'<sip:4101@10.0.0.9>;expires=5;+sip.instance="<{OTHER_INSTANCE}>"'],
        ["<<<"],
    ],
)
def test_r9_a_2xx_without_our_contact_is_no_registration(contacts: list[str]) -> None:
    reading = read_success(success(*contacts), contact=CONTACT, instance=INSTANCE, requested=600)
    assert (reading.verdict, reading.expires) == (Verdict.ERROR, None)
    assert reading.sentence == (
        "The server answered 200 OK but does not list this handset: it is not registered."
    )


@pytest.mark.parametrize(
    ("contact", "headers"),
    [(f"<{CONTACT}>;expires=0", {"expires": "60"}), (f"<{CONTACT}>", {"expires": "0"})],
)
def test_t7_a_2xx_that_grants_no_time_is_no_registration(
    contact: str, headers: dict[str, str]
) -> None:
    reading = read_success(
        success(contact, **headers), contact=CONTACT, instance=INSTANCE, requested=600
    )
    assert (reading.verdict, reading.expires) == (Verdict.ERROR, None)
    assert reading.sentence.endswith("granted no time: the handset is not registered.")


def test_t15_other_contacts_are_reported_and_never_taken_for_ours() -> None:
    reading = read_success(
        success(FOREIGN, f"<{CONTACT}>;expires=90", "<tel:4101>"),
        contact=CONTACT,
        instance=INSTANCE,
        requested=600,
    )
    assert reading.expires == 90
    assert reading.others == (
        ListedContact("sip:4101@10.0.0.9:5060", 7000),
        ListedContact("tel:4101", None),
    )


def test_our_uri_is_surer_than_our_instance_and_both_are_ours() -> None:
    old = f'<sip:4101@10.0.0.1>;expires=7;+sip.instance="<{INSTANCE}>"'
    reading = read_success(
        success(old, f"<{CONTACT}>;expires=90"), contact=CONTACT, instance=INSTANCE, requested=600
    )
    assert (reading.expires, reading.others) == (90, ())


def test_without_an_instance_of_our_own_nobodys_instance_is_ours() -> None:
    reading = read_success(
        success(FOREIGN, "<sip:b@c>"), contact=CONTACT, instance="", requested=600
    )
    assert reading.verdict is Verdict.ERROR


def test_r14_a_fetch_knows_ours_by_instance_only() -> None:
    mine = f'<sip:4101@10.0.0.1>;expires=7;+sip.instance="<{INSTANCE}>"'
    bound = read_success(success(mine, FOREIGN), contact=None, instance=INSTANCE, requested=600)
    assert (bound.verdict, bound.expires) == (Verdict.BOUND, 7)
    assert [contact.uri for contact in bound.others] == ["sip:4101@10.0.0.9:5060"]
    foreign = read_success(success(FOREIGN), contact=None, instance=INSTANCE, requested=600)
    assert foreign.verdict is Verdict.ERROR
    assert [contact.uri for contact in foreign.others] == ["sip:4101@10.0.0.9:5060"]
    assert foreign.sentence == "The server holds no registration of this handset (200 OK)."
