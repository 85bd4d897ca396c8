"""Claims: one winner, fenced, in order, with everything an agent needs."""

import threading
import time
import uuid

import pytest
from django.db import connection

from fleet.models import Site
from registrations import store
from registrations.keeping import FORMAT
from registrations.models import Registration, ServerHealth
from tests.support.claims import at, finished, make_due, make_group, make_lines

pytestmark = pytest.mark.usefixtures("database")

LEASE = 30.0


def test_a_claim_takes_only_what_is_due_and_the_longest_due_first() -> None:
    lines = make_lines(3, make_group())
    rows = make_due(lines)
    now = time.time()
    for row, due in zip(rows, (now - 1, now - 9, now + 9), strict=True):
        Registration.objects.filter(pk=row.pk).update(due_at=at(due))
    assert [each.registration_id for each in store.claim_due(None, 1, LEASE)] == [rows[1].pk]
    assert [each.registration_id for each in store.claim_due(None, 9, LEASE)] == [rows[0].pk]


def test_a_claim_takes_no_more_than_its_limit_and_nothing_for_a_full_process() -> None:
    make_due(make_lines(5, make_group()))
    assert len(store.claim_due(None, 2, LEASE)) == 2
    assert store.claim_due(None, 0, LEASE) == []


def test_a_claim_keeps_to_its_sites() -> None:
    group = make_group()
    east, west = Site.objects.create(name="east"), Site.objects.create(name="west")
    make_due(make_lines(2, group, east))
    make_due(make_lines(3, group, west, first=10))
    assert {each.site_id for each in store.claim_due([west.pk], 9, LEASE)} == {west.pk}
    assert len(store.claim_due([east.pk, west.pk], 9, LEASE)) == 2


def test_a_row_that_a_newer_version_wrote_in_its_own_format_is_left_to_it() -> None:
    newer, ours = make_due(make_lines(2, make_group()))
    Registration.objects.filter(pk=newer.pk).update(snapshot_format=FORMAT + 1)
    [claimed] = store.claim_due(None, 9, LEASE)
    assert claimed.registration_id == ours.pk
    Registration.objects.filter(pk=ours.pk).update(snapshot_format=0)
    store.save([finished(claimed)])
    assert Registration.objects.get(pk=ours.pk).snapshot_format == FORMAT


def test_a_claimed_row_is_due_again_when_its_lease_ends() -> None:
    [row] = make_due(make_lines(1, make_group()))
    now = time.time()
    [claimed] = store.claim_due(None, 9, LEASE, now=now)
    assert claimed.lease_until == now + LEASE
    assert store.claim_due(None, 9, LEASE, now=now + LEASE - 0.01) == []
    [again] = store.claim_due(None, 9, LEASE, now=now + LEASE + 0.01)
    assert again.registration_id == row.pk
    assert again.token != claimed.token


def test_a_lost_lease_leaves_a_gap_of_cseq_numbers_and_a_save_closes_it() -> None:
    make_due(make_lines(1, make_group()))
    now = time.time()
    offsets = []
    for lost in range(3):
        [claimed] = store.claim_due(None, 9, LEASE, now=now + lost * 60)
        offsets.append(claimed.cseq_offset)
    assert offsets == [0, 100, 200]
    store.save([finished(claimed, due_at=now)])
    [claimed] = store.claim_due(None, 9, LEASE, now=now + 240)
    assert claimed.cseq_offset == 0


def test_two_claimers_never_get_the_same_row(database: str) -> None:
    rows = make_due(make_lines(400, make_group()))
    taken: list[list[int]] = [[], []]
    ready = threading.Barrier(2)

    def claim(mine: list[int]) -> None:
        try:
            ready.wait(timeout=60)
            while batch := store.claim_due(None, 23, LEASE):
                mine += [each.registration_id for each in batch]
        finally:
            connection.close()

    threads = [threading.Thread(target=claim, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(taken[0] + taken[1]) == sorted(row.pk for row in rows)


def test_a_claim_leaves_rows_on_busy_servers_to_others() -> None:
    group = make_group()
    primary, secondary = group.servers.order_by("priority")
    rows = make_due(make_lines(3, group))
    Registration.objects.filter(pk=rows[0].pk).update(server=primary)
    Registration.objects.filter(pk=rows[1].pk).update(server=secondary)
    claimed = store.claim_due(None, 9, LEASE, busy_servers=[primary.pk])
    assert [each.registration_id for each in claimed] == [rows[1].pk]


def test_a_claim_brings_account_policy_entries_wish_and_silent_servers() -> None:
    group = make_group(expires=77, fail_back_mode="duration", max_registrations_per_second=9)
    primary, secondary = group.servers.order_by("priority")
    [row] = make_due(make_lines(1, group))
    Registration.objects.filter(pk=row.pk).update(
        snapshot={"x": 1},
        wish="failback",
        wish_version=3,
        wish_by="ann",
        wish_request="0123456789",
    )
    ServerHealth.objects.create(
        server=secondary, site_id=row.site_id, condition="silent", since=at(0), due_at=at(0)
    )
    [claimed] = store.claim_due(None, 9, LEASE)
    assert claimed.account.aor == "sip:4000@fleet.test"
    assert claimed.account.password == "pw-4000"
    assert claimed.account.instance.startswith("urn:uuid:")
    assert (claimed.wish, claimed.wish_version, claimed.wish_by) == ("failback", 3, "ann")
    assert claimed.wish_request == "0123456789"
    assert claimed.snapshot == {"x": 1}
    assert claimed.news.silent.keys() == {secondary.pk}
    assert claimed.server_id == primary.pk
    facts = claimed.group
    assert (facts.policy.expires, facts.policy.fail_back_mode) == (77, "duration")
    assert [(e.server_id, e.label) for e in facts.entries] == [
        (primary.pk, "127.0.0.61:5071"),
        (secondary.pk, "127.0.0.62:5071"),
    ]


def test_the_instance_is_stable_and_each_line_has_its_own() -> None:
    rows = make_due(make_lines(2, make_group()))
    first = {c.registration_id: c.account.instance for c in store.claim_due(None, 9, LEASE)}
    Registration.objects.update(due_at=at(0))
    second = {c.registration_id: c.account.instance for c in store.claim_due(None, 9, LEASE)}
    assert first == second
    assert first[rows[0].pk] != first[rows[1].pk]


def test_extending_tells_which_leases_are_still_ours() -> None:
    rows = make_due(make_lines(2, make_group()))
    now = time.time()
    claimed = store.claim_due(None, 9, LEASE, now=now)
    Registration.objects.filter(pk=rows[0].pk).update(lease_token=uuid.uuid4())
    kept = store.extend({claimed[0].token: [row.pk for row in rows]}, now + 60)
    assert kept == {rows[1].pk}
    assert store.claim_due(None, 9, LEASE, now=now + 45)[0].registration_id == rows[0].pk


def test_a_released_row_is_due_when_said_and_keeps_its_reserve() -> None:
    [row] = make_due(make_lines(1, make_group()))
    now = time.time()
    [claimed] = store.claim_due(None, 9, LEASE, now=now)
    assert store.release({claimed.token: [row.pk]}, now + 5) == 1
    assert store.claim_due(None, 9, LEASE, now=now + 4) == []
    [again] = store.claim_due(None, 9, LEASE, now=now + 6)
    assert again.cseq_offset == 100
    assert store.release({claimed.token: [row.pk]}, now) == 0


def test_these_tests_stand_on_the_database_they_name(database: str) -> None:
    assert connection.vendor == database
