"""Jobs that Rollcall gives itself: the way home of groups that act on news of the fleet.

Where `fast_failover` is set, all handsets leave a silent primary at once. Would each go home by
itself, all would run after it at once, whatever it does then; so going home is a job with a canary
and waves. Elsewhere each agent follows its own failback mode.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from fleet.models import Line, Server, ServerGroup
from registrations import queries
from registrations.jobs.rows import FAILED
from registrations.models import (
    Job,
    JobResult,
    Registration,
    ServerHealth,
    ServerPace,
    ServerPause,
    State,
)

ASKED_BY = "Rollcall (fast_failover)"
PROVED_FOR = timedelta(seconds=30)
"""How long a primary must have been up again."""
AGAIN_AFTER = timedelta(minutes=10)
"""How long after such a job is over, however it ended, the next one is given."""
FORGIVEN_AFTER = timedelta(days=1)
"""How long a handset that such a job could not move is no reason for another."""

_MODES = ServerGroup.FailBackMode


def away_at_all() -> QuerySet[Registration]:
    """Return whoever is away in a group that may be given such a job: without them none is due."""
    return Registration.objects.filter(group__in=_groups(), state=State.SECONDARY)


def _groups() -> QuerySet[ServerGroup]:
    return ServerGroup.objects.filter(mode=ServerGroup.Mode.FAILOVER, fast_failover=True)


def due(now: datetime) -> Iterable[Job]:
    """Return the jobs to be given now, not yet saved: one for each group that may go home."""
    for group in _groups().filter(Exists(_away(now))):
        if _is_busy(group.pk, now) or not _is_proved(group, now):
            continue
        if not _is_held(group.pk, now):
            yield Job(scope={"group": group.pk}, asked_by=ASKED_BY, is_automatic=True)


def must_wait(job: Job, now: datetime) -> bool:
    """Say whether the next wave of such a job is not to begin now: no-failback hours, a drain."""
    return _is_held(int(job.scope["group"]), now)


def _away(now: datetime) -> QuerySet[Registration]:
    """Return who of a group would go home by its own mode, if it were not for the job.

    Whom such a job could not move lately is no reason for another one.
    """
    failed = JobResult.objects.filter(
        registration=OuterRef("pk"),
        job__is_automatic=True,
        result__in=FAILED,
        finished_at__gt=now - FORGIVEN_AFTER,
    )
    away = Registration.objects.filter(
        ~Exists(failed),
        group=OuterRef("pk"),
        state=State.SECONDARY,
        line__supervision=Line.Supervision.REGISTER,
    )
    return away.exclude(group__fail_back_mode=_MODES.DURATION, group__fail_back_timeout=0)


def _is_busy(group_id: int, now: datetime) -> bool:
    """Whether the group is being brought home, was a short while ago, or was rolled back."""
    given = Job.objects.filter(scope={"group": group_id}, kind=Job.Kind.FAILBACK)
    lately = Q(is_automatic=True, finished_at__gt=now - AGAIN_AFTER)
    held = Job.objects.filter(hold_until__gt=now, results__group=group_id)
    return given.filter(Q(finished_at=None) | lately).exists() or held.exists()


def _is_proved(group: ServerGroup, now: datetime) -> bool:
    """Whether the primary is up, and has been for a while, from every site that looks at it."""
    home = Server.objects.filter(group=group, priority=1, register=True).first()
    if home is None:
        return False
    wait = PROVED_FOR
    if group.fail_back_mode == _MODES.DURATION:
        wait = max(wait, timedelta(seconds=group.fail_back_timeout))
    health: QuerySet[Any] = ServerHealth.objects.filter(server=home)
    up = Q(
        condition=ServerHealth.Condition.UP, since__lte=now - wait, due_at__gt=now - queries.GRACE
    )
    is_sick = ServerPace.objects.filter(server=home, sick_since__isnull=False).exists()
    is_paused = ServerPause.objects.filter(server=home, until__gt=now.timestamp()).exists()
    is_up = health.exists() and not health.exclude(up).exists()
    return is_up and not is_sick and not is_paused


def _is_held(group_id: int, now: datetime) -> bool:
    holds = queries.holds_at(now.timestamp())
    sites = Registration.objects.filter(group=group_id).values_list("site", flat=True).distinct()
    if any(holds.quiet_until(group_id, site) for site in sites):
        return True
    drained = Server.objects.filter(group=group_id, priority=1, pk__in=list(holds.drained))
    return drained.exists()
