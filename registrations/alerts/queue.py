"""The queue of messages: rows that wait until a channel has taken them, or are given up.

A row is claimed under a token and comes back by itself where its sender died; so a message may go
out twice when the machine fails between sending and noting it, and is never lost.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F, QuerySet

from registrations.alerts import channels
from registrations.incidents.message import Message
from registrations.models import AlertRule, Channel, Delivery, Incident

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=120)
"""Longer than any channel takes for AT_ONCE messages."""

WAITS_S = (10, 30, 60, 120, 300, 600)
"""Before the second attempt, the third and so on; then always the last of them."""

GIVES_UP = timedelta(hours=24)
AT_ONCE = 4

_WHAT, _STATE = Delivery.What, Delivery.State


def enqueue(
    message: Message,
    channel: Channel,
    now: datetime,
    *,
    what: str,
    incident: Incident | None = None,
    rule: AlertRule | None = None,
    turn: int = 0,
) -> int:
    """Let `message` wait for each recipient of the channel; return how many there are.

    Call it in the transaction of what is told. The same turn of a rule is never queued twice.
    """
    rows = [
        Delivery(
            what=what,
            incident=incident,
            rule=rule,
            channel=channel,
            rule_name=rule.name if rule is not None else "",
            channel_name=channel.name,
            recipient=recipient[:300],
            turn=turn,
            message=message.kept(),
            created_at=now,
            next_try_at=now,
        )
        for recipient in channels.recipients(channel)
    ]
    return len(Delivery.objects.bulk_create(rows, ignore_conflicts=True))


def unsent() -> QuerySet[Delivery]:
    """Return what waits, due or not yet."""
    return Delivery.objects.filter(state=_STATE.WAITING, channel__isnull=False)


def due_channels(now: datetime) -> list[int]:
    """Return the channels for which something is due."""
    due = unsent().filter(next_try_at__lte=now)
    return list(due.order_by("channel").values_list("channel", flat=True).distinct())


def drop(channel: Channel, now: datetime) -> None:
    """Give up what waits for a channel that is to be deleted."""
    Delivery.objects.filter(state=_STATE.WAITING, channel=channel).update(
        state=_STATE.GIVEN_UP,
        next_try_at=None,
        finished_at=now,
        last_answer="The channel was deleted.",
    )


def claim(channel_id: int, now: datetime) -> list[Delivery]:
    """Take the next due messages of a channel for LEASE, the oldest first."""
    token = uuid.uuid4()
    with transaction.atomic():
        due = Delivery.objects.select_for_update(skip_locked=True, of=("self",)).filter(
            state=_STATE.WAITING, next_try_at__lte=now, channel=channel_id
        )
        ids = list(due.order_by("next_try_at", "pk").values_list("pk", flat=True)[:AT_ONCE])
        Delivery.objects.filter(pk__in=ids).update(
            lease_token=token, next_try_at=now + LEASE, attempts=F("attempts") + 1
        )
    mine = Delivery.objects.filter(lease_token=token, pk__in=ids).select_related("channel")
    return list(mine.order_by("pk"))


def attempt(delivery: Delivery) -> None:
    """Send one claimed message. Raises channels.NotSent; writes nothing."""
    channel = delivery.channel
    if channel is None or not channel.is_on:
        raise channels.NotSent("The channel is off.")
    message = Message(**delivery.message)
    delivery.last_answer = channels.send(
        channel, delivery.recipient, message, f"rollcall-delivery-{delivery.pk}"
    )


def note(delivery: Delivery, failed: channels.NotSent | None, now: datetime) -> None:
    """Write down what came of an attempt, and when the next one is."""
    mine = Delivery.objects.filter(pk=delivery.pk, lease_token=delivery.lease_token)
    if failed is None:
        mine.update(
            state=_STATE.SENT,
            finished_at=now,
            next_try_at=None,
            lease_token=None,
            last_answer=delivery.last_answer[:300],
        )
        return
    answer = str(failed)[:300]
    log.warning(
        "message not sent", channel=delivery.channel_name, delivery=delivery.pk, answer=answer
    )
    if failed.is_final or now - delivery.created_at >= GIVES_UP:
        state = {"state": _STATE.GIVEN_UP, "finished_at": now, "next_try_at": None}
    else:
        wait = WAITS_S[min(delivery.attempts, len(WAITS_S)) - 1]
        state = {"next_try_at": now + timedelta(seconds=wait)}
    mine.update(last_answer=answer, lease_token=None, **state)


def try_again(ids: Iterable[int], now: datetime) -> int:
    """Let these be tried at once, those given up too; return how many."""
    mine = Delivery.objects.filter(pk__in=list(ids), channel__isnull=False)
    again = mine.exclude(state=_STATE.SENT)
    return again.update(state=_STATE.WAITING, next_try_at=now, finished_at=None, lease_token=None)
