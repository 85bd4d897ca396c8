"""Facts of groups: kept between claims, and never older than the claim that uses them."""

import uuid
from collections.abc import Callable

import pytest

from fleet.models import DnsRecord, Server, ServerGroup
from registrations.models import Registration, ServerPause
from registrations.store.accounts import accounts_of
from registrations.store.claim import claim_due
from registrations.store.groups import groups_of
from tests.support.claims import make_due, make_group, make_lines

pytestmark = pytest.mark.usefixtures("database")


def test_facts_are_made_once_while_nobody_edits_the_group() -> None:
    group, other = make_group(), make_group("other")
    first = groups_of({group.pk, other.pk})
    ServerGroup.objects.filter(pk=other.pk).update(expires=77)
    then = groups_of({group.pk, other.pk})
    assert then[group.pk] is first[group.pk]
    assert then[other.pk].policy.expires == 77


EDITS: dict[str, Callable[[ServerGroup], object]] = {
    "policy": lambda group: ServerGroup.objects.filter(pk=group.pk).update(retry_max_count=9),
    "address": lambda group: Server.objects.filter(group=group, priority=1).update(
        address="127.0.0.77"
    ),
    "order": lambda group: Server.objects.filter(group=group, priority=1).update(priority=9),
    "another server": lambda group: Server.objects.create(
        group=group, priority=3, address="127.0.0.63", port=5071
    ),
    "a server less": lambda group: Server.objects.filter(group=group, priority=2).delete(),
    "own record": lambda group: DnsRecord.objects.create(
        group=group, kind="A", name="sip.ward.test", address="127.0.0.64", ttl=60
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_every_edit_is_in_the_next_claim_whoever_wrote_it(
    edit: Callable[[ServerGroup], object],
) -> None:
    group = make_group(addresses=("sip.ward.test", "127.0.0.62"))
    before = groups_of({group.pk})[group.pk]
    edit(group)
    assert groups_of({group.pk})[group.pk] != before


def test_the_instance_is_the_uuid_that_it_always_was() -> None:
    lines = make_lines(50, make_group())
    for line, found in zip(lines, accounts_of(each.pk for each in lines).values(), strict=True):
        name = f"{line.handset.mac}/{line.number}"
        assert found.instance == f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, name)}"


def test_who_was_told_of_a_set_clock_hears_the_other_news_as_well() -> None:
    first, second = make_due(make_lines(2, make_group()))
    Registration.objects.filter(pk=first.pk).update(clock_set_s=-60.0)
    server = Server.objects.earliest("priority")
    ServerPause.objects.create(server=server, address="10.0.0.9", port=5060, until=2e9)
    claimed = {each.registration_id: each.news for each in claim_due(None, 9, 30.0)}
    assert claimed[first.pk].clock_set == -60.0
    assert claimed[second.pk].clock_set == 0.0
    assert claimed[first.pk].paused == claimed[second.pk].paused == {("10.0.0.9", 5060): 2e9}
