"""The watch over agents from outside their workers: nobody stays stuck.

A worker itself ends an agent that moves no more (`runtime.runner`); this finds what no worker saw.
"""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from fleet.models import ServerGroup, Site
from registrations import live, store
from registrations.models import Registration
from registrations.recovery import longest_claim_s
from registrations.runtime.claimer import LEASE_S
from registrations.sip.targets import MOST_TARGETS
from registrations.vitals import counters

logger = logging.getLogger(__name__)

LEASED_WITHIN = timedelta(seconds=2 * LEASE_S)
"""A row under a lease is due when that ends."""
SURELY_LEGAL = timedelta(minutes=2)
"""Nobody is looked at more closely who was claimed so lately."""


def end_stuck(now: datetime) -> list[int]:
    """End the agents that hold a lease for longer than a claim may last; return whose."""
    found = overdue(now)
    ids = [
        pk
        for start in range(0, len(found), store.BATCH)
        for pk in store.restart(found[start : start + store.BATCH], now.timestamp())
    ]
    if ids:
        logger.error("%d agents were stuck and are begun anew: %s", len(ids), ids[:20])
        counters.BEGUN_ANEW.add("watch", n=len(ids))
        live.publish({"id": pk} for pk in ids)
    return ids


def overdue(now: datetime) -> list[store.Broken]:
    """Return who is under one lease for longer than its group's policy lets a claim last."""
    # The sites are for the index, without which the whole fleet is read.
    sites = list(Site.objects.values_list("pk", flat=True))
    near = Registration.objects.filter(site__in=sites, due_at__lt=now + LEASED_WITHIN)
    leased = near.filter(lease_token__isnull=False, claimed_at__lt=now - SURELY_LEGAL)
    # Sorted by that alone: by the key, PostgreSQL takes to reading all in its order.
    old = leased.order_by("claimed_at")
    held = list(old.values_list("pk", "lease_token", "claimed_at", "group_id"))
    longest = _longest({group for _, _, _, group in held})
    return [
        store.Broken(pk, token.hex, (claimed_at + longest[group]).timestamp())
        for pk, token, claimed_at, group in held
        if claimed_at + longest[group] < now
    ]


def _longest(group_ids: Collection[int]) -> dict[int, timedelta]:
    """How long a claim may last, by group."""
    groups = ServerGroup.objects.filter(pk__in=group_ids).prefetch_related("servers")
    return {
        group.pk: timedelta(
            seconds=longest_claim_s(store.policy_of(group), _targets(group), LEASE_S)
        )
        for group in groups
    }


def _targets(group: ServerGroup) -> int:
    """How many places its servers stand for at most: a name's DNS may have several."""
    addresses = [server.address for server in group.servers.all()]
    return sum(1 if store.is_literal(address) else MOST_TARGETS for address in addresses)
