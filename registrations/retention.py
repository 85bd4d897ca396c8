"""Forgetting what is older than is kept, in short transactions."""

import time
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from registrations import store
from registrations.models import Delivery, Incident, RenewalHour, Transition

LONGEST_S = 60.0
"""How long one call goes on at most; the next one continues."""


def forget() -> int:
    """Delete history older than HISTORY_DAYS and return how many changes that were.

    The last change of each line before that moment stays, however old: it says where the line was
    at the beginning of what is kept. Only a line that was removed is forgotten whole.
    """
    cutoff = timezone.now() - timedelta(days=settings.HISTORY_DAYS)
    RenewalHour.objects.filter(hour__lt=cutoff - timedelta(hours=1)).delete()
    _forget_incidents(cutoff)
    forgotten, after, ends = 0, (datetime.min.replace(tzinfo=UTC), 0), time.monotonic() + LONGEST_S
    while time.monotonic() < ends:
        batch = _older(cutoff, after)
        if not batch:
            break
        after = batch[-1][:2]
        ids = [pk for _, pk, is_needed in batch if not is_needed]
        forgotten += Transition.objects.filter(pk__in=ids).delete()[0]
    return forgotten


def _forget_incidents(cutoff: datetime) -> None:
    """Delete some of the incidents that were over before then, and of the messages."""
    over = Incident.objects.filter(resolved_at__lt=cutoff).order_by("pk")
    done = Delivery.objects.filter(created_at__lt=cutoff, finished_at__isnull=False).order_by("pk")
    for rows in (over, done):
        ids = list(rows.values_list("pk", flat=True)[: store.BATCH])
        rows.model.objects.filter(pk__in=ids).delete()


def _older(cutoff: datetime, after: tuple[datetime, int]) -> list[tuple[datetime, int, bool]]:
    """Return the next changes before `cutoff` as (at, id, whether it is still needed)."""
    at, pk = after
    successor = Transition.objects.filter(
        Q(at__gt=OuterRef("at")) | Q(at=OuterRef("at"), pk__gt=OuterRef("pk")),
        registration=OuterRef("registration"),
        at__lte=cutoff,
    )
    rows = Transition.objects.filter(at__lt=cutoff)
    if pk:
        rows = rows.filter(at__gte=at).exclude(at=at, pk__lte=pk)
    needed = Q(registration__isnull=False) & ~Q(cause="removed") & ~Exists(successor)
    rows = rows.annotate(needed=needed).order_by("at", "pk")
    return list(rows.values_list("at", "pk", "needed")[: store.BATCH])
