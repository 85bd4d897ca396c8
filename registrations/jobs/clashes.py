"""What a drill must not come upon: another drill, a job, or a drain of the same handsets.

Two orders about one handset would undo each other, and neither would prove anything.
"""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from fleet.models import Server
from registrations import queries
from registrations.models import Drain, Drill, JobResult

Result = JobResult.Result


def clash(asked: QuerySet[Any], until: datetime) -> str:
    """Say what of these registrations goes on, or begins before `until`; '' where nothing does."""
    return _drill(asked) or _job(asked) or _drain(asked, until)


def _drill(asked: QuerySet[Any]) -> str:
    for drill in Drill.objects.filter(finished_at=None).select_related("away").order_by("pk"):
        if drill.away is None or drill.away.writing_until is not None:
            return f"Drill {drill.pk} is just beginning: ask again in a moment."
        others = drill.away.results.exclude(result=Result.LEFT_OUT)
        if asked.filter(pk__in=others.values("registration")).exists():
            return f"Drill {drill.pk} is on with some of them: end it, or wait until it is over."
    return ""


def _job(asked: QuerySet[Any]) -> str:
    moving = JobResult.objects.filter(result=Result.PENDING, job__finished_at=None)
    there = moving.filter(registration__in=asked.order_by().values("pk"))
    if first := there.order_by("job").values_list("job", flat=True).first():
        return f"Job {first} is moving some of them: cancel it, or wait until it is over."
    return ""


def _drain(asked: QuerySet[Any], until: datetime) -> str:
    groups = asked.order_by().values("group").distinct()
    for drain in Drain.objects.filter(finished_at=None, begins_at__lt=until).order_by("begins_at"):
        place = queries.at_place_of(drain.server_id)
        theirs = Server.objects.filter(pk__in=place, group__in=groups).select_related("group")
        if server := theirs.first():
            began = "is being drained" if drain.away_id else "is to be drained"
            return f"{server} of {server.group} {began} (drain {drain.pk}): a drill needs it."
    return ""
