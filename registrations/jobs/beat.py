"""What the beat does for jobs each second, and whoever waits for one between two beats."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from fleet.models import ServerGroup
from fleet.presence import Kind
from registrations.jobs import automatic, writing
from registrations.jobs.drains import advance_drains
from registrations.jobs.drills import advance_drills
from registrations.jobs.steps import advance
from registrations.models import Drain, Drill, Job

UNFINISHED: dict[str, Kind] = {
    "jobs": lambda: Job.objects.filter(Q(finished_at=None) | Q(writing_until__isnull=False)),
    "drains": lambda: Drain.objects.filter(finished_at=None),
    "drills": lambda: Drill.objects.filter(finished_at=None),
    "away": automatic.away_at_all,
}
"""Where there are no such rows a beat finds nothing to do."""


def advance_all(now: datetime | None = None) -> None:
    """Take a step of every drain, drill and job that is not over; give the jobs that are due."""
    now = now or timezone.now()
    writing.go_on(now)
    advance_drains(now)
    advance_drills(now)
    for pk in Job.objects.filter(finished_at=None).order_by("pk").values_list("pk", flat=True):
        advance(pk, now)
    for job in automatic.due(now):
        _give_once(job, now)


def _give_once(job: Job, now: datetime) -> None:
    """Give it unless another process has just done so: its group's row is the lock."""
    with transaction.atomic():
        groups = ServerGroup.objects.select_for_update(no_key=True)
        list(groups.filter(pk=job.scope["group"]).values_list("pk"))
        given = Job.objects.filter(scope=job.scope, is_automatic=True, finished_at=None)
        if given.exists():
            return
        writing.begin(job, now)
    writing.write(job, now)
