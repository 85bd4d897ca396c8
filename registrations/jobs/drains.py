"""Drains: a server holds nobody for a while; its handsets go elsewhere and come home after it.

Like a job a drain is rows. While it lasts its server is among `queries.holds_at`, so nobody goes
there by himself; the moving is done by two jobs, one at each end. Who was on his way there when the
first was written is moved by a further one. It is over when the one that brings home is.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from fleet import request_id
from fleet.models import Server, ServerGroup
from registrations import queries
from registrations.draining import Act, Facts, decide
from registrations.jobs import orders, rows, steps, writing
from registrations.jobs.judging import judged
from registrations.jobs.late import jobs_of, late, may_sweep
from registrations.jobs.orders import JobIsOver, OrderRefused, Terms, User, name_of
from registrations.models import Drain, Job, JobResult

Result = JobResult.Result


@dataclass(frozen=True, slots=True)
class Window:
    """When a server is to hold nobody."""

    begins_at: datetime
    ends_at: datetime

    def check(self, now: datetime) -> None:
        """Raises OrderRefused."""
        if self.ends_at <= self.begins_at:
            raise OrderRefused("ends_at", "It must end after it begins.")
        if self.ends_at <= now:
            raise OrderRefused("ends_at", "It would be over already.")


def drain(server: Server, window: Window, user: User, terms: Terms | None = None) -> Drain:
    """Plan a drain of that server, begin it if its time has come, and return it.

    The server is a machine: all groups that name the same place are meant. Raises OrderRefused.
    """
    terms, now = terms or Terms(), timezone.now()
    terms.check()
    window.check(now)
    with transaction.atomic():
        # Two drains of one place, or of one group, wait for each other: each sees the other's row.
        places = queries.at_place_of(server.pk)
        groups = Server.objects.filter(pk__in=places).values("group")
        list(Server.objects.filter(group__in=groups).order_by("pk").select_for_update())
        overlapping = Drain.objects.filter(
            server__in=places, finished_at=None, begins_at__lt=window.ends_at
        ).filter(Q(ends_at__gt=window.begins_at) | Q(begins_at__lte=now))
        if other := overlapping.first():
            raise OrderRefused("server", f"Drain {other.pk} of {server} covers that time already.")
        if group := _left_without(places, window):
            raise OrderRefused("server", f"Every other server of {group} is drained at that time.")
        made = Drain.objects.create(
            server=server,
            begins_at=window.begins_at,
            ends_at=window.ends_at,
            asked_by=name_of(user),
            request_id=request_id.current() or request_id.fresh(),
            abort_above_percent=terms.abort_above_percent,
            wave_size=terms.wave_size,
        )
    advance(made.pk, now)
    made.refresh_from_db()
    return made


def _left_without(places: list[int], window: Window) -> ServerGroup | None:
    """Return a group whose other servers are all drained at that time, where it has others."""
    unfinished = Drain.objects.filter(finished_at=None)
    during = unfinished.filter(begins_at__lt=window.ends_at, ends_at__gt=window.begins_at)
    held = {pk for each in during for pk in queries.at_place_of(each.server_id)}
    others = Server.objects.filter(register=True).exclude(pk__in=places)
    free = others.exclude(pk__in=held)
    theirs = ServerGroup.objects.filter(servers__in=places)
    return (
        theirs.filter(pk__in=others.values("group"))
        .exclude(pk__in=free.values("group"))
        .order_by("pk")
        .first()
    )


def end(drained: Drain, user: User) -> Drain:
    """End a drain now: call it off where it has not begun, else bring home whom it moved.

    Raises JobIsOver.
    """
    now = timezone.now()
    with transaction.atomic():
        row = Drain.objects.select_for_update().get(pk=drained.pk)
        if row.finished_at is not None or row.ends_at <= now:
            raise JobIsOver(f"Drain {row.pk} has ended already.")
        row.ends_at = max(now, row.begins_at)
        row.ended_by = name_of(user)
        row.save(update_fields=["ends_at", "ended_by"])
    advance(row.pk, now)
    row.refresh_from_db()
    return row


def advance_drains(now: datetime) -> None:
    """Take a step of every drain that is not over."""
    for pk in Drain.objects.filter(finished_at=None).order_by("pk").values_list("pk", flat=True):
        advance(pk, now)


def advance(drain_id: int, now: datetime) -> None:
    """Take the step that this drain is ready for. Nothing where somebody else is at it."""
    job = _step(drain_id, now)
    if job is not None and job.writing_until is not None:
        writing.write(job, now)
    elif job is not None:
        steps.advance(job.pk, now)


@transaction.atomic
def _step(drain_id: int, now: datetime) -> Job | None:
    """Take it, and return the job that goes on because of it."""
    unfinished = Drain.objects.select_for_update(skip_locked=True, of=("self",))
    found = unfinished.filter(pk=drain_id, finished_at=None)
    row = found.select_related("server", "away", "home").first()
    if row is None:
        return None
    job = None
    if row.away is None and row.begins_at <= now < row.ends_at:
        _forestall(row, now)
    act = decide(_facts(row, now), now.timestamp())
    if act is Act.EMPTY:
        job = row.away = _begin(row, Job.Kind.DRAIN, {"server": row.server_id}, now)
    elif act is Act.SWEEP:
        job = _begin(row, Job.Kind.DRAIN, {"server": row.server_id}, now)
        row.sweeps.add(job)
    elif act is Act.STOP:
        moving = jobs_of(row).filter(finished_at=None, cancelled_at=None).first()
        job = orders.call_off(moving, row.ended_by or row.asked_by, now) if moving else None
    elif act is Act.BRING_HOME:
        job = row.home = _begin(row, Job.Kind.FAILBACK, {"moved_by": row.away_id}, now)
    elif act is Act.FINISH:
        row.finished_at = now
    row.save(update_fields=["away", "home", "finished_at"])
    return job


def _facts(row: Drain, now: datetime) -> Facts:
    away, home = row.away, row.home
    called_off = row.ended_by and row.ends_at <= row.begins_at
    return Facts(
        begins_at=row.begins_at.timestamp(),
        ends_at=row.ends_at.timestamp(),
        has_emptied=away is not None,
        is_emptying=jobs_of(row).filter(finished_at=None).exists(),
        has_late=_has_late(row, now),
        has_called_home=home is not None,
        is_calling_home=home is not None and home.finished_at is None,
        comes_home=not called_off
        and row.server.priority == 1
        and JobResult.objects.filter(job__in=jobs_of(row), result=Result.MOVED).exists(),
        is_expected=away is None and rows.asked(_to(row)).exists(),
    )


def _has_late(row: Drain, now: datetime) -> bool:
    if not row.begins_at <= now < row.ends_at or not may_sweep(row, now):
        return False
    there = queries.registrations(now).filter(pk__in=late(row).values("pk"))
    found = judged(there, Job.Kind.DRAIN, server_id=row.server_id)
    return found.filter(verdict=Result.PENDING).exists()


def _begin(row: Drain, kind: str, scope: dict[str, Any], now: datetime) -> Job:
    job = Job(
        kind=kind,
        scope=scope,
        asked_by=row.asked_by,
        request_id=row.request_id,
        abort_above_percent=row.abort_above_percent,
        wave_size=row.wave_size,
    )
    return writing.begin(job, now)


def _to(row: Drain) -> QuerySet[JobResult]:
    """Return who waits in a failback to the server that is drained."""
    groups = Server.objects.filter(pk__in=queries.at_place_of(row.server_id), priority=1)
    return JobResult.objects.filter(
        result=Result.PENDING,
        job__kind=Job.Kind.FAILBACK,
        registration__group__in=groups.values("group"),
    )


def _forestall(row: Drain, now: datetime) -> None:
    """Nobody is called home to a server that is drained: their turn will not come."""
    rows.queued(_to(row)).update(
        result=Result.LEFT_OUT, reason=f"{row.server} is being drained."[:300], finished_at=now
    )
