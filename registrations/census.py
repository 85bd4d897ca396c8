"""The census: each minute the fleet is counted as it is shown, and the counts are kept.

All are kept for FULL_FOR, one in ten minutes for KEPT_FOR. Who was not counted is not made up.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import transaction

from fleet.models import ServerGroup
from registrations import proving, queries, store
from registrations.models import Census, ReadinessHour, ServerChange

FULL_FOR = timedelta(days=3)
THINNED_TO = timedelta(minutes=10)
KEPT_FOR = timedelta(days=90)
"""Also how long the servers' own history is kept."""


def take(now: datetime) -> bool:
    """Count the fleet for the minute of `now`; False where that was done already.

    One row for the fleet and one per group. Two beats or a hint delivered twice count once.
    """
    minute = now.replace(second=0, microsecond=0)
    if Census.objects.filter(at=minute, group=None).exists():
        return False
    counted = queries.summary(now)
    with transaction.atomic():
        _, is_first = Census.objects.get_or_create(
            at=minute, group=None, defaults={"states": _anybody(counted["states"])}
        )
        if is_first:
            Census.objects.bulk_create(
                Census(
                    at=minute,
                    group_id=group["id"],
                    states=_anybody(group["states"]),
                    servers={str(s["id"]): _anybody(s["states"]) for s in group["servers"]},
                )
                for group in counted["groups"]
            )
    return is_first


def take_readiness(now: datetime) -> bool:
    """Count whom each server would take, for the hour of `now`; False where that was done."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    counted = queries.proof_counts(now)
    with transaction.atomic():
        if not counted or ReadinessHour.objects.filter(at__gte=hour).exists():
            return False
        ReadinessHour.objects.bulk_create(
            ReadinessHour(
                at=now,
                server_id=server_id,
                taken=(taken := sum(counts[proof] for proof in proving.TAKES)),
                not_taken=(not_taken := sum(counts[proof] for proof in proving.TAKES_NOT)),
                untold=counts.total() - taken - not_taken,
            )
            for server_id, counts in counted.items()
        )
    return True


def _anybody(counts: Mapping[str, int]) -> dict[str, int]:
    return {state: n for state, n in counts.items() if n}


def thin(now: datetime) -> None:
    """Drop what is too old, and of what is no longer fresh all but one row in ten minutes.

    A few minutes' rows at a time: no write takes long.
    """
    Census.objects.filter(at__lt=now - KEPT_FOR).delete()
    ServerChange.objects.filter(at__lt=now - KEPT_FOR).delete()
    ReadinessHour.objects.filter(at__lt=now - KEPT_FOR).delete()
    old = Census.objects.filter(at__lt=now - FULL_FOR, group=None).order_by("at")
    dropped = surplus(old.values_list("at", flat=True))
    at_once = max(1, store.BATCH // (1 + ServerGroup.objects.count()))
    for start in range(0, len(dropped), at_once):
        Census.objects.filter(at__in=dropped[start : start + at_once]).delete()


def surplus(moments: Iterable[datetime]) -> list[datetime]:
    """Return all but the first of each THINNED_TO; `moments` come in order."""
    found, kept = [], None
    for moment in moments:
        bucket = int(moment.timestamp() // THINNED_TO.total_seconds())
        if bucket == kept:
            found.append(moment)
        kept = bucket
    return found
