"""What handsets report of themselves: their addresses, and what a report sets in motion.

A report is one more source, never the truth: it names no server, and anybody may have sent it who
knows the address. It makes servers be asked, or is kept to be read.
"""

import hashlib
import secrets
from collections.abc import Iterable
from itertools import islice
from typing import Any

import structlog
from auditlog.models import LogEntry
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.utils import timezone

from fleet.formats import networks
from fleet.formats.decoding import Unreadable
from fleet.formats.notifications import Event, read
from fleet.models import Handset, ServerGroup
from fleet.tries import Tries
from registrations import store
from registrations.models import NotificationAddress
from registrations.vitals import counters

log = structlog.get_logger(__name__)

User = AbstractBaseUser | AnonymousUser

KEPT = 8
"""Events kept of one handset."""
LONGEST_AGENT = 120
"""Characters of a User-Agent."""
MOST_MISSES = 20
"""Wrong addresses one sender may try in a minute; then nothing is looked up for it."""
MOST_REPORTS = 12
"""Reports of one handset in a minute: more are refused."""

_misses = Tries("notification-misses", 60)
_reports = Tries("notifications", 60)


class Refused(Exception):
    """A report that is not taken: `status` as HTTP has it, and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def make_for_group(group: ServerGroup, *, by: User) -> int:
    """Make an address for each handset of the group that has none; goes into the audit log.

    Returns how many were made.
    """
    without = group.handsets.filter(notification_address=None).defer("search_text")
    lacking = iter(list(without.order_by("pk")))
    made = 0
    while batch := list(islice(lacking, store.BATCH)):
        fresh = [_fresh(each, by.get_username()) for each in batch]
        # Somebody else may have made one meanwhile.
        NotificationAddress.objects.bulk_create(fresh, ignore_conflicts=True)
        made += len(fresh)
    if made:
        _audit(group, "none", f"made for {made} handsets", by)
    return made


@transaction.atomic
def renew(handset: Handset, *, by: User) -> None:
    """Give the handset another address; the one it had ends at once. Goes into the audit log."""
    new = _fresh(handset, by.get_username())
    fields = {"key": new.key, "digest": new.digest, "made_by": new.made_by}
    _, is_first = NotificationAddress.objects.update_or_create(
        handset=handset, defaults=fields | {"made_at": timezone.now()}
    )
    _audit(handset, "none" if is_first else "********", "made" if is_first else "made anew", by)


def receive(key: str, sender: str, body: bytes, agent: str = "") -> tuple[Event, ...]:
    """Take what a handset reports at the address of `key`. Raises Refused.

    `agent` is what it calls itself, in HTTP's User-Agent: no body has model or firmware.
    Lines that are watched are looked at at once; of those that an agent registers it is noted.
    """
    try:
        events = _taken(key, sender, body, _plain(agent))
    except Refused as refused:
        counters.NOTIFICATIONS.add("refused")
        log.info("notification refused", status=refused.status, why=str(refused), sender=sender)
        raise
    for event in events:
        counters.NOTIFICATIONS.add(event.kind)
    if not events:
        counters.NOTIFICATIONS.add("other")
    return events


def _plain(agent: str) -> str:
    return "".join(filter(str.isprintable, agent))[:LONGEST_AGENT]


def _taken(key: str, sender: str, body: bytes, agent: str) -> tuple[Event, ...]:
    allowed = settings.NOTIFICATION_NETWORKS
    if allowed and not networks.holds(allowed, sender):
        raise Refused(403, f"{sender} is in none of the NOTIFICATION_NETWORKS.")
    if _misses.of(sender) >= MOST_MISSES:
        raise Refused(429, "Too many wrong addresses: wait a minute.")
    digest = _digest(key)
    address = NotificationAddress.objects.filter(digest=digest).select_related("handset").first()
    if address is None:
        _misses.add(sender)
        raise Refused(404, "Nothing is here.")
    if _reports.of(digest) >= MOST_REPORTS:
        raise Refused(429, f"A handset may report {MOST_REPORTS} times a minute.")
    _reports.add(digest)
    try:
        events = read(body)
    except Unreadable as wrong:
        raise Refused(400, str(wrong)) from wrong
    if any(event.mac not in ("", address.handset.mac) for event in events):
        raise Refused(400, "This is the address of another handset.")
    if events:
        _keep(address, events, sender, agent)
    return events


@transaction.atomic
def _keep(address: NotificationAddress, events: Iterable[Event], sender: str, agent: str) -> None:
    now = timezone.now()
    told = [
        {
            "kind": event.kind.value,
            "line": event.line,
            "told_at": None if event.told_at is None else event.told_at.isoformat(),
            "at": now.isoformat(),
            "sender": sender,
            "agent": agent,
        }
        for event in events
    ]
    row = NotificationAddress.objects.select_for_update().filter(digest=address.digest).first()
    if row is None:
        return  # It was made anew, or its handset is gone, this very moment.
    row.events = [*reversed(told), *row.events][:KEPT]
    row.heard_at = now
    row.save(update_fields=["events", "heard_at"])
    store.look_now(address.handset_id, now.timestamp())


def _fresh(handset: Handset, by: str) -> NotificationAddress:
    key = secrets.token_urlsafe(32)
    return NotificationAddress(handset=handset, key=key, digest=_digest(key), made_by=by)


def _digest(key: str) -> str:
    """A key has 256 random bits: it is not guessed, and a plain digest finds it."""
    return hashlib.sha256(key.encode()).hexdigest()


def _audit(of: Any, before: str, after: str, by: User) -> None:
    LogEntry.objects.log_create(
        of,
        action=LogEntry.Action.UPDATE,
        changes={"notification address": [before, after]},
        actor=by,
    )
