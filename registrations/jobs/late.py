"""Late arrivals: who came to a server after the job that empties it for a drain was written.

A handset that was in the middle of a REGISTER when the drain began is bound there nonetheless.
"""

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from registrations import queries
from registrations.models import Drain, Job, JobResult, Registration

Result = JobResult.Result

REST = timedelta(seconds=10)
"""So long after one job of a drain the next begins at the earliest: who comes later, waits."""


def jobs_of(drain: Drain) -> QuerySet[Job]:
    """Return the jobs that move handsets away for this drain."""
    return Job.objects.filter(Q(pk=drain.away_id) | Q(sweep_of=drain.pk))


def late(drain: Drain) -> QuerySet[Registration]:
    """Return whom none of its jobs has asked; and whoever was ordered there since is no such."""
    asked = Q(job=drain.away_id) | Q(job__sweep_of=drain.pk)
    ordered = Q(job__gt=drain.away_id or 0, result=Result.MOVED)
    known = JobResult.objects.filter(asked | ordered, registration=OuterRef("pk"))
    there = Registration.objects.filter(server__in=queries.at_place_of(drain.server_id))
    return there.filter(~Exists(known))


def may_sweep(drain: Drain, now: datetime) -> bool:
    """Whether it is time to look: the first job ran to its end, and the last one some while ago."""
    away = drain.away
    if away is None or away.cancelled_at is not None or away.aborted_at is not None:
        return False
    return not jobs_of(drain).filter(Q(finished_at=None) | Q(finished_at__gt=now - REST)).exists()
