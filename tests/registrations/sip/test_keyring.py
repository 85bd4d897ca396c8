"""Which nonces are kept, for whom, and how many."""

import json

import pytest

from registrations.sip.digest import Challenge
from registrations.sip.keyring import MAX_REALMS, MAX_SERVERS, Keyring
from registrations.sip.message import Response
from tests.registrations.sip.wire import Tokens


def held(ring: Keyring, server: str = "1") -> list[tuple[bool, str, str, int]]:
    return [
        (kept.proxy, kept.challenge.realm, kept.challenge.nonce, kept.nc)
        for kept in ring.of(server)
    ]


def ring_with(*realms: str, proxy: bool = False) -> Keyring:
    ring = Keyring(Tokens())
    ring.adopt("1", proxy, [Challenge(realm, "n", qop=True) for realm in realms], ())
    return ring


def test_a_new_nonce_takes_the_old_ones_place() -> None:
    ring = ring_with("pbx")
    ring.adopt("1", False, [Challenge("pbx", "m")], {(False, "pbx"): 1})
    assert held(ring) == [(False, "pbx", "m", 0)]


def test_a_new_realm_of_the_same_kind_pushes_out_what_an_older_attempt_left() -> None:
    ring = ring_with("old")
    ring.adopt("1", False, [Challenge("pbx", "m")], ())
    assert held(ring) == [(False, "pbx", "m", 0)]


def test_d1_a_proxy_and_a_registrar_are_both_kept() -> None:
    ring = ring_with("edge", proxy=True)
    ring.adopt("1", False, [Challenge("pbx", "m")], ())
    assert held(ring) == [(True, "edge", "n", 0), (False, "pbx", "m", 0)]


def test_d1_two_realms_of_one_attempt_are_both_kept() -> None:
    ring = ring_with("one")
    ring.adopt("1", False, [Challenge("two", "m")], {(False, "one"): 1})
    assert [realm for _, realm, _, _ in held(ring)] == ["one", "two"]


def test_d8_servers_do_not_share_nonces() -> None:
    ring = ring_with("pbx")
    assert held(ring, "2") == []
    ring.drop("2")
    ring.drop("1")
    assert held(ring) == []


def test_what_is_kept_is_bounded() -> None:
    ring = ring_with(*(f"realm{n}" for n in range(20)))
    assert len(held(ring)) == MAX_REALMS
    for server in range(2, 40):
        ring.adopt(str(server), False, [Challenge("pbx", "m")], ())
    assert len(ring.snapshot()) == MAX_SERVERS
    assert held(ring) == []
    assert held(ring, "39")


@pytest.mark.parametrize(
    ("proxy", "header"), [(False, "authentication-info"), (True, "proxy-authentication-info")]
)
def test_d7_nextnonce_replaces_the_nonce(proxy: bool, header: str) -> None:
    ring = ring_with("pbx", proxy=proxy)
    ring.take_next_nonce("1", Response(200, "OK", {header: ['nextnonce="m"']}))
    assert held(ring) == [(proxy, "pbx", "m", 0)]


@pytest.mark.parametrize(
    ("realms", "value"), [(("one", "two"), 'nextnonce="m"'), (("one",), "qop=auth"), ((), "x=y")]
)
def test_d7_a_nextnonce_that_may_mean_anybody_is_not_used(
    realms: tuple[str, ...], value: str
) -> None:
    ring = ring_with(*realms)
    ring.take_next_nonce("1", Response(200, "OK", {"authentication-info": [value]}))
    assert held(ring) == [(False, realm, "n", 0) for realm in realms]


def test_a_keyring_comes_back_from_json() -> None:
    saved = json.loads(json.dumps(ring_with("pbx").snapshot()))
    ring = Keyring(Tokens())
    ring.restore(saved, 100)
    assert held(ring) == [(False, "pbx", "n", 100)]
    ring.restore({}, 0)
    assert held(ring) == [(False, "pbx", "n", 100)]
