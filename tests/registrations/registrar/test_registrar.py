"""The demo's registrar keeps RFC 3261's rules for registrars, so that the demo shows the truth."""

import pytest

from registrations.registrar.registrar import EVERYBODY, Fault
from registrations.sip.headers import parse_contacts
from registrations.sip.message import Response
from registrations.values import Verdict
from tests.registrations.registrar.support import AOR, NOW, Phone, make_registrar, register

CONTACT = "Contact: <sip:4101@10.0.0.1:5060>"
OTHER = "Contact: <sip:4101@10.0.0.2:5060>"


def code(answer: Response | None) -> int:
    assert answer is not None
    return answer.code


def listed(answer: Response | None) -> dict[str, int | None]:
    assert answer is not None
    return {c.uri: c.expires for c in parse_contacts(answer.headers.get("contact", []))}


def test_our_own_client_registers_with_digest_and_is_in_the_table() -> None:
    registrar = make_registrar()
    outcome = register(registrar, expires=60)
    assert (outcome.verdict, outcome.expires) == (Verdict.BOUND, 60)
    (binding,) = registrar.location.lookup(AOR, NOW)
    assert binding.uri == "sip:4101@127.0.0.9:9000"
    assert binding.instance == "urn:uuid:1"


def test_a_wrong_password_is_refused_and_binds_nothing() -> None:
    registrar = make_registrar()
    outcome = register(registrar, password="wrong")
    assert (outcome.verdict, outcome.code) == (Verdict.REFUSED, 403)
    assert registrar.location.aors(NOW) == {}


def test_nobody_binds_another_users_address_of_record() -> None:
    registrar = make_registrar()
    owner = Phone(registrar, user="4102", password="secret-2").challenged()
    assert code(owner.send(CONTACT)) == 200
    thief = Phone(registrar, auth_user="4102", password="secret-2", call_id="call-2").challenged()
    assert code(thief.send(CONTACT)) == 403


def test_an_interval_too_brief_is_told_and_followed() -> None:
    registrar = make_registrar(min_expires=30)
    phone = Phone(registrar).challenged()
    answer = phone.send(CONTACT, "Expires: 20")
    assert code(answer) == 423
    assert answer and answer.first("min-expires") == "30"
    assert register(registrar, expires=20).expires == 30


def test_a_binding_ends_when_it_expires() -> None:
    registrar = make_registrar()
    Phone(registrar).challenged().send(CONTACT, "Expires: 20")
    assert len(registrar.location.lookup(AOR, NOW + 19.9)) == 1
    assert registrar.location.lookup(AOR, NOW + 20) == []


def test_all_contacts_are_listed_with_the_seconds_they_have_left() -> None:
    registrar = make_registrar()
    Phone(registrar).challenged().send(CONTACT, "Expires: 60")
    second = Phone(registrar, call_id="call-2").challenged(NOW + 10)
    answer = second.send(f"{OTHER};expires=90", "Expires: 60", now=NOW + 10)
    assert listed(answer) == {"sip:4101@10.0.0.1:5060": 50, "sip:4101@10.0.0.2:5060": 90}


def test_a_request_without_contact_asks_and_changes_nothing() -> None:
    registrar = make_registrar()
    phone = Phone(registrar).challenged()
    phone.send(CONTACT)
    assert listed(phone.send()) == {"sip:4101@10.0.0.1:5060": 3600}


def test_the_same_contact_by_uri_comparison_is_one_binding() -> None:
    registrar = make_registrar()
    phone = Phone(registrar).challenged()
    phone.send("Contact: <sip:4101@PHONE.example:5060;lr>")
    phone.send("Contact: <sip:4101@phone.example:5060>")
    assert len(registrar.location.lookup(AOR, NOW)) == 1


@pytest.mark.parametrize("cseq", [4, 3])
def test_an_equal_or_lower_cseq_of_the_same_call_changes_nothing(cseq: int) -> None:
    registrar = make_registrar()
    phone = Phone(registrar, cseq=2).challenged()
    assert code(phone.send(CONTACT, "Expires: 60")) == 200
    assert code(phone.send_as(cseq, CONTACT, "Expires: 90")) == 400
    (binding,) = registrar.location.lookup(AOR, NOW)
    assert binding.expires_at == NOW + 60


def test_another_call_may_update_with_a_lower_cseq() -> None:
    registrar = make_registrar()
    Phone(registrar, cseq=50).challenged().send(CONTACT, "Expires: 60")
    other = Phone(registrar, call_id="call-2").challenged()
    assert code(other.send(CONTACT, "Expires: 90")) == 200
    (binding,) = registrar.location.lookup(AOR, NOW)
    assert binding.expires_at == NOW + 90


def test_expires_zero_removes_the_named_contact_only() -> None:
    registrar = make_registrar()
    phone = Phone(registrar).challenged()
    phone.send(CONTACT)
    phone.send(OTHER)
    answer = phone.send(CONTACT, "Expires: 0")
    assert set(listed(answer)) == {"sip:4101@10.0.0.2:5060"}


def test_a_star_removes_all_and_only_with_expires_zero() -> None:
    registrar = make_registrar()
    phone = Phone(registrar).challenged()
    phone.send(CONTACT)
    assert code(phone.send("Contact: *")) == 400
    assert len(registrar.location.lookup(AOR, NOW)) == 1
    assert code(phone.send("Contact: *", "Expires: 0")) == 200
    assert registrar.location.aors(NOW) == {}


def test_a_retransmission_gets_the_same_answer_and_does_nothing_twice() -> None:
    registrar = make_registrar()
    phone = Phone(registrar).challenged()
    first = phone.send(CONTACT, "Expires: 60")
    again = phone.deliver(NOW + 2)
    assert first == again
    (binding,) = registrar.location.lookup(AOR, NOW + 2)
    assert binding.expires_at == NOW + 60


def test_a_used_nonce_count_is_challenged_as_stale() -> None:
    phone = Phone(make_registrar()).challenged()
    assert code(phone.send(CONTACT)) == 200
    assert phone.credentials
    phone.credentials.nc -= 1
    answer = phone.send(CONTACT)
    assert code(answer) == 401
    assert answer and "stale=TRUE" in (answer.first("www-authenticate") or "")


def test_forgotten_nonces_are_stale_not_wrong() -> None:
    registrar = make_registrar()
    phone = Phone(registrar).challenged()
    phone.send(CONTACT)
    registrar.authentication.forget()
    answer = phone.send(CONTACT)
    assert answer and "stale=TRUE" in (answer.first("www-authenticate") or "")
    phone.take_challenge(answer)
    assert code(phone.send(CONTACT)) == 200


def test_an_old_nonce_is_stale() -> None:
    phone = Phone(make_registrar()).challenged()
    answer = phone.send(CONTACT, now=NOW + 301)
    assert answer and "stale=TRUE" in (answer.first("www-authenticate") or "")


def test_a_restart_forgets_table_and_nonces() -> None:
    registrar = make_registrar()
    phone = Phone(registrar).challenged()
    phone.send(CONTACT)
    registrar.forget()
    assert registrar.location.aors(NOW) == {}
    assert code(phone.send(CONTACT)) == 401


def test_faults_are_per_user_or_for_everybody() -> None:
    registrar = make_registrar()
    phone = Phone(registrar).challenged()
    registrar.faults["4102"] = Fault("403 Forbidden")
    assert code(phone.send(CONTACT)) == 200
    registrar.faults[EVERYBODY] = Fault("503 Service Unavailable", ("Retry-After: 7",))
    answer = phone.send(CONTACT)
    assert code(answer) == 503
    assert answer and answer.first("retry-after") == "7"
    registrar.faults[EVERYBODY] = Fault()
    assert phone.send(CONTACT) is None
    assert phone.send(method="OPTIONS") is None
    registrar.faults.clear()
    assert code(phone.send(CONTACT)) == 200


def test_options_is_answered_without_credentials_and_other_methods_are_refused() -> None:
    phone = Phone(make_registrar())
    assert code(phone.send(method="OPTIONS")) == 200
    answer = phone.send(method="INVITE")
    assert code(answer) == 405
    assert answer and answer.first("allow") == "REGISTER, OPTIONS"
    assert phone.send(method="ACK") is None


@pytest.mark.parametrize("data", [b"", b"\0", b"SIP/2.0 200 OK\r\n\r\n", b"REGISTER x SIP/2.0\r\n"])
def test_what_is_no_request_gets_no_answer(data: bytes) -> None:
    assert make_registrar().answer(data, ("127.0.0.9", 1), NOW) is None


def test_a_register_without_a_user_in_to_is_a_bad_request() -> None:
    phone = Phone(make_registrar(), user="")
    assert code(phone.send(CONTACT)) == 400
