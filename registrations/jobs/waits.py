"""For whom a wave waits although nobody is at them: at which site, since when, and why."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Min

from registrations import queries
from registrations.jobs.rows import asked
from registrations.models import Job, JobResult

_SITE = {
    "site": F("registration__site"),
    "site_name": F("registration__site__name"),
    "zone": F("registration__site__time_zone"),
    "has_own_workers": F("registration__site__has_own_workers"),
    "suspected_since": F("registration__site__network__suspected_since"),
}


def waits(job: Job, now: datetime) -> list[dict[str, Any]]:
    """Return the sites at which handsets of the wave under way are due and taken by no worker.

    Each with how many, since when, and why as a sentence. One query.
    """
    if job.finished_at is not None:
        return []
    pending = asked(JobResult.objects.filter(job=job, result=JobResult.Result.PENDING))
    overdue = pending.filter(registration__due_at__lt=now - queries.GRACE)
    found = overdue.order_by().values(**_SITE).order_by("site_name")
    counted = found.annotate(handsets=Count("pk"), due_at=Min("registration__due_at"))
    return [
        {
            "site": each["site"],
            "site_name": each["site_name"],
            "handsets": each["handsets"],
            "since": queries.moment(each["due_at"]),
            "sentence": _sentence(each, now),
        }
        for each in counted
    ]


def _sentence(each: Mapping[str, Any], now: datetime) -> str:
    n, name = each["handsets"], each["site_name"]
    at = queries.clock(each["due_at"], each["zone"], now)
    told = f"{'1 handset' if n == 1 else f'{n} handsets'} at {name} "
    told += f"{'waits' if n == 1 else 'wait'} since {at}: "
    if each["suspected_since"] is not None:
        return told + "its own network is suspected, nothing moves."
    if each["has_own_workers"]:
        return told + f"no worker of that site takes them; start one with WORKER_SITES={name}."
    return told + "no worker takes them; look whether one runs."
