"""Where a real handset is, judged by what its servers list of it."""

from dataclasses import replace

import pytest

from registrations import observing
from registrations.observing import Contacts, Judged, Seen
from registrations.proving import Proof
from registrations.values import GroupMode, ListedContact

NOW = 1_800_000_000.0
PHONE = "sip:4001@10.1.2.3:5060"


def seen(
    priority: int,
    until: float | None = None,
    proof: Proof = Proof.PROVED,
    bound_at: float | None = None,
) -> Seen:
    contacts: Contacts = () if until is None else ((PHONE, NOW + until),)
    return Seen(priority, priority, f"PBX {'ABC'[priority - 1]}", proof, contacts, NOW, bound_at)


def judge(*found: Seen, mode: GroupMode = GroupMode.FAILOVER, shares: bool = False) -> Judged:
    return observing.judge(found, mode, shares=shares, every_s=60, now=NOW)


def test_a_handset_is_where_the_only_server_is_that_lists_it() -> None:
    assert judge(seen(1, 900), seen(2)) == Judged("primary", 1, NOW + 900, f"PBX A lists {PHONE}.")
    assert judge(seen(1), seen(2, 900)).state == "secondary"
    assert judge(seen(1), seen(2, 900), mode=GroupMode.FALLBACK).state == "fallback"


def test_of_two_bindings_the_one_that_was_made_last_counts() -> None:
    found = judge(seen(1, 3000, bound_at=NOW - 600), seen(2, 400, bound_at=NOW - 10))
    assert (found.state, found.server_id) == ("secondary", 2)
    assert "PBX A still lists it too." in found.reason


def test_where_nobody_saw_them_made_the_one_that_lasts_longer_counts() -> None:
    assert judge(seen(1, 500), seen(2, 3500)).server_id == 2
    assert judge(seen(1, 3500), seen(2, 500)).server_id == 1


def test_in_a_fallback_group_all_hold_it_and_the_first_works() -> None:
    found = judge(seen(1, 100), seen(2, 3000, bound_at=NOW), mode=GroupMode.FALLBACK)
    assert (found.state, found.server_id) == ("primary", 1)
    assert "too" not in found.reason


def test_it_is_registered_nowhere_only_where_every_server_says_so() -> None:
    assert judge(seen(1), seen(2)).state == "unregistered"
    assert judge(seen(1), seen(2, -5)).state == "unregistered", "that one has run out"
    for blind in (Proof.SILENT, Proof.UNCLEAR, Proof.REFUSED, Proof.UNASKED):
        found = judge(seen(1), seen(2, proof=blind))
        assert found.state is None
        assert found.reason == "PBX B does not say who is bound, so where it is cannot be told."


def test_a_server_that_was_not_asked_lately_may_hold_it_all_the_while() -> None:
    spared = replace(seen(1), asked_at=NOW - 420)
    found = judge(spared, seen(2))
    assert (found.state, found.reason) == (
        None,
        "PBX A was not asked lately, so where it is cannot be told.",
    )
    assert judge(replace(seen(1), asked_at=NOW - 100), seen(2)).state == "unregistered"
    assert judge(spared, seen(2, 300)).state == "secondary"


def test_whom_every_server_refuses_is_rejected() -> None:
    refusing = seen(1, proof=Proof.REFUSED), seen(2, proof=Proof.UNKNOWN_AOR)
    assert judge(*refusing).state == "rejected"


def test_a_binding_is_believed_until_it_ends_though_its_server_has_fallen_silent() -> None:
    assert judge(seen(1, 300, proof=Proof.SILENT), seen(2)).state == "primary"


def test_who_serves_a_handset_of_servers_that_share_is_said_not_to_be_known() -> None:
    found = judge(seen(1, 900), seen(2, 900), shares=True)
    assert found.state is None
    assert "which server serves it cannot be told" in found.reason
    assert judge(seen(1), seen(2), shares=True).state == "unregistered"


def test_a_binding_that_lasts_longer_than_it_did_was_renewed() -> None:
    before: Contacts = ((PHONE, NOW + 60),)
    assert not observing.is_renewed(before, ((PHONE, NOW + 61),))
    assert observing.is_renewed(before, ((PHONE, NOW + 3600),))
    assert observing.is_renewed(before, ((PHONE, NOW + 60), ("sip:other@10.0.0.1", NOW + 60)))
    assert not observing.is_renewed(before, ())


def test_only_so_many_contacts_are_kept_and_the_longest_of_them() -> None:
    many = [ListedContact(f"sip:{n}@h", n) for n in range(20)] + [ListedContact("sip:x@h", None)]
    kept = observing.listed(many, NOW)
    assert len(kept) == observing.MOST_CONTACTS
    assert kept[0] == ("sip:x@h", NOW + 3600)
    assert kept[1] == ("sip:19@h", NOW + 19)


@pytest.mark.parametrize(
    ("before", "after", "was", "is_at", "word"),
    [
        ("", "primary", 0, 1, "seen"),
        ("", "unregistered", 0, 0, "seen"),
        ("primary", "secondary", 1, 2, "failover"),
        ("primary", "fallback", 1, 2, "fallback"),
        ("secondary", "primary", 2, 1, "failback"),
        ("secondary", "unregistered", 2, 0, "lost"),
        ("unregistered", "primary", 0, 1, "restored"),
        ("primary", "rejected", 1, 0, "refused"),
    ],
)
def test_a_change_has_the_historys_own_word(
    before: str, after: str, was: int, is_at: int, word: str
) -> None:
    assert observing.cause(before, after, was, is_at) == word


def test_whom_a_server_lists_is_the_same_whatever_it_rounds() -> None:
    before: Contacts = ((PHONE, NOW + 300), ("sip:4001@10.1.2.4", NOW + 60))
    assert observing.is_same(before, ((PHONE, NOW + 301), ("sip:4001@10.1.2.4", NOW + 59)))
    assert not observing.is_same(before, ((PHONE, NOW + 900), ("sip:4001@10.1.2.4", NOW + 60)))
    assert not observing.is_same(before, before[:1])
    assert not observing.is_same(before, (before[0], ("sip:4001@10.1.2.5", NOW + 60)))
    assert observing.is_same((), ())


def test_only_who_moved_is_looked_at_again_soon() -> None:
    assert observing.is_restless(0, None, every_s=60)
    assert observing.is_restless(90, 12, every_s=60)
    assert not observing.is_restless(90, 58, every_s=60), "it was only seen for the first time"
    assert not observing.is_restless(121, 12, every_s=60)
