"""Deleting a channel: not while a rule tells by it alone, for that rule would tell nobody."""

from datetime import datetime

from django.db import transaction

from fleet.inventory import InUse
from registrations.alerts import queue
from registrations.models import Channel


def rules_of(channel: Channel) -> tuple[list[str], list[str]]:
    """Return the names of the rules that tell by it alone, and of those that have others too."""
    alone: list[str] = []
    beside: list[str] = []
    for rule in channel.rules.prefetch_related("channels").order_by("name"):
        (alone if len(rule.channels.all()) == 1 else beside).append(rule.name)
    return alone, beside


def refusal(channel: Channel, alone: list[str]) -> str:
    """Say why it cannot be deleted, given who tells by it alone; '' where it can."""
    if not alone:
        return ""
    return (
        f"Channel {channel} cannot be deleted: without it nobody is told by "
        f"{'the rules' if len(alone) > 1 else 'the rule'} {', '.join(alone)}. "
        "Choose another channel there, or delete that first."
    )


@transaction.atomic
def remove(channel: Channel, now: datetime) -> None:
    """Delete it and give up what waits for it. Raises InUse where a rule tells by it alone."""
    if wrong := refusal(channel, rules_of(channel)[0]):
        raise InUse(wrong)
    queue.drop(channel, now)
    channel.delete()
