"""Drills: handsets move away on purpose, stay for some minutes, and come home; with evidence.

Like a drain a drill is rows, and two jobs do the moving. The same pure rules say what comes next:
its window ends so many minutes after the last one has moved, or when somebody ends it.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from fleet import request_id
from fleet.models import ServerGroup
from registrations import queries
from registrations.draining import Act, Facts, decide
from registrations.jobs import evidence, orders, steps, writing
from registrations.jobs.clashes import clash
from registrations.jobs.hours import hours_word, place_word, standing
from registrations.jobs.judging import judged
from registrations.jobs.orders import JobIsOver, OrderRefused, Terms, User, name_of
from registrations.jobs.scopes import MAX_LISTED, in_scope
from registrations.models import Drill, Job, JobResult, QuietHours

Result = JobResult.Result

LONGEST_MINUTES = 480
LONGEST_MOVE = timedelta(hours=2)
"""Beyond its minutes: so long those who moved are kept away at most, should nobody call them."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """How long they stay away, and how many of the scope it is about (None: all)."""

    minutes: int
    sample: int | None = None

    def check(self) -> None:
        """Raises OrderRefused."""
        if type(self.minutes) is not int or not 1 <= self.minutes <= LONGEST_MINUTES:
            raise OrderRefused("minutes", f"Give a whole number from 1 to {LONGEST_MINUTES}.")
        size = self.sample
        if size is not None and (type(size) is not int or not 1 <= size <= MAX_LISTED):
            raise OrderRefused("sample", f"Give a whole number from 1 to {MAX_LISTED}.")


def drill(
    scope: Mapping[str, Any], exercise: Exercise, user: User, terms: Terms | None = None
) -> Drill:
    """Begin a drill with the registrations of `scope` (as `orders.order` has them); return it.

    Raises ScopeError, and OrderRefused also where it would come into no-failback hours, or upon
    another drill, a job or a drain of the same handsets.
    """
    terms, now = terms or Terms(), timezone.now()
    terms.check()
    exercise.check()
    over = now + timedelta(minutes=exercise.minutes)
    _refuse_clash(scope, now, over)
    wanted = judged(in_scope(scope, now), Job.Kind.DRILL).filter(verdict=Result.PENDING)
    ids = list(wanted.order_by("pk").values_list("pk", flat=True))
    if not ids:
        raise OrderRefused("scope", "Nobody in it is on a primary and could go elsewhere.")
    if hours := _hours_until(scope, now, over):
        raise OrderRefused("minutes", hours)
    told = dict(scope)
    if exercise.sample is not None and exercise.sample < len(ids):
        told = {"registrations": sorted(random.sample(ids, exercise.sample))}
    groups = set(wanted.order_by().values_list("group", flat=True).distinct())
    with transaction.atomic():
        # Two drills of one group wait for each other, so that the second sees the first.
        there = ServerGroup.objects.filter(pk__in=groups).order_by("pk")
        list(there.select_for_update(no_key=True))
        _refuse_clash(scope, now, over)
        made = _made(scope, exercise, user, terms)
        made.away = _begin(made, Job.Kind.DRILL, told, now)
        made.save(update_fields=["away"])
    writing.write(made.away, now)
    made.refresh_from_db()
    return made


def _made(scope: Mapping[str, Any], exercise: Exercise, user: User, terms: Terms) -> Drill:
    return Drill.objects.create(
        scope=dict(scope),
        sample=exercise.sample,
        minutes=exercise.minutes,
        asked_by=name_of(user),
        request_id=request_id.current() or request_id.fresh(),
        abort_above_percent=terms.abort_above_percent,
        wave_size=terms.wave_size,
    )


def _refuse_clash(scope: Mapping[str, Any], now: datetime, over: datetime) -> None:
    if found := clash(in_scope(scope, now), over):
        raise OrderRefused("scope", found)


def end_drill(made: Drill, user: User) -> Drill:
    """Bring them home now. Raises JobIsOver."""
    now = timezone.now()
    with transaction.atomic():
        row = Drill.objects.select_for_update().get(pk=made.pk)
        if row.finished_at is not None or row.home_id is not None or row.ended_at is not None:
            raise JobIsOver(f"Drill {row.pk} has ended already.")
        row.ended_at, row.ended_by = now, name_of(user)
        row.save(update_fields=["ended_at", "ended_by"])
    advance(row.pk, now)
    row.refresh_from_db()
    return row


def advance_drills(now: datetime) -> None:
    """Take a step of every drill that is not over."""
    for pk in Drill.objects.filter(finished_at=None).order_by("pk").values_list("pk", flat=True):
        advance(pk, now)


def advance(drill_id: int, now: datetime) -> None:
    """Take the step that this drill is ready for. Nothing where somebody else is at it."""
    job = _step(drill_id, now)
    if job is not None and job.writing_until is not None:
        writing.write(job, now)
    elif job is not None:
        steps.advance(job.pk, now)


def returns_at(row: Drill) -> datetime | None:
    """Return when its handsets are called home; None while they are still moving away."""
    away = row.away
    if row.ended_at is not None:
        return row.ended_at
    if away is None:
        return row.created_at
    if away.finished_at is None:
        return None
    if away.aborted_at is not None:
        # Too many found no other server: there is nothing to hold out for.
        return away.finished_at
    return away.finished_at + timedelta(minutes=row.minutes)


@transaction.atomic
def _step(drill_id: int, now: datetime) -> Job | None:
    """Take it, and return the job that goes on because of it."""
    unfinished = Drill.objects.select_for_update(skip_locked=True, of=("self",))
    row = unfinished.filter(pk=drill_id, finished_at=None).select_related("away", "home").first()
    if row is None:
        return None
    job = None
    act = decide(_facts(row, now), now.timestamp())
    if act is Act.STOP and row.away is not None and row.away.cancelled_at is None:
        job = orders.call_off(row.away, row.ended_by or row.asked_by, now)
    elif act is Act.BRING_HOME:
        # They are called: nothing keeps them away any longer.
        Job.objects.filter(pk=row.away_id).update(hold_until=now)
        job = row.home = _begin(row, Job.Kind.FAILBACK, {"moved_by": row.away_id}, now)
    elif act is Act.FINISH:
        Job.objects.filter(pk=row.away_id).update(hold_until=now)
        row.finished_at = now
        row.stragglers, row.evidence, row.digest = evidence.of(row)
    row.save(update_fields=["home", "finished_at", "stragglers", "evidence", "digest"])
    return job


def _facts(row: Drill, now: datetime) -> Facts:
    away, home, returns = row.away, row.home, returns_at(row)
    ends_at = (returns or now + LONGEST_MOVE).timestamp()
    return Facts(
        begins_at=min(row.created_at.timestamp(), ends_at - 1),
        ends_at=ends_at,
        has_emptied=True,
        is_emptying=away is not None and away.finished_at is None,
        has_called_home=home is not None,
        is_calling_home=home is not None and home.finished_at is None,
        comes_home=away is not None and away.results.filter(result=Result.MOVED).exists(),
    )


def _begin(row: Drill, kind: str, scope: dict[str, Any], now: datetime) -> Job:
    is_away = kind == Job.Kind.DRILL
    hold_until = now + timedelta(minutes=row.minutes) + LONGEST_MOVE if is_away else None
    job = Job(
        kind=kind,
        scope=scope,
        asked_by=row.asked_by,
        request_id=row.request_id,
        # Whoever went must come home, however many of a wave do not.
        abort_above_percent=row.abort_above_percent if is_away else 100,
        wave_size=row.wave_size,
        hold_until=hold_until,
    )
    return writing.begin(job, now)


def _hours_until(scope: Mapping[str, Any], now: datetime, end: datetime) -> str:
    """Say which no-failback hours of these handsets are on before `end`; '' if none."""
    places = set(in_scope(scope, now).order_by().values_list("group", "site").distinct())
    for hours in QuietHours.objects.select_related("group", "site").order_by("pk"):
        if not any(
            hours.group_id in (None, group) and hours.site_id in (None, site)
            for group, site in places
        ):
            continue
        for zone in queries.zones_of(hours):
            until, begins = standing(hours, now, zone)
            if until or (begins and begins <= end.timestamp()):
                where = f"{place_word(hours)}: {hours_word(hours)} ({zone})"
                return f"It would come into no-failback hours. {where}."
    return ""
