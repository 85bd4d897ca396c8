"""The rows of a job, set by set: its results, their waves, the wishes of a wave, their end."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import (
    Case,
    Count,
    DateTimeField,
    F,
    IntegerField,
    Min,
    Q,
    QuerySet,
    Value,
    When,
)

from fleet.models import Line, ServerGroup
from registrations import queries, store
from registrations.jobs.judging import judged
from registrations.models import Job, JobResult, Registration, State
from registrations.waves import Lane, wave_size

Result = JobResult.Result
FAILED = (Result.REFUSED, Result.FAILED)
ASKED = (Result.PENDING, Result.MOVED, *FAILED)


def write_results(job: Job, wanted: QuerySet[Any], now: datetime) -> None:
    """Insert a result for each of the judged rows `wanted`, in one statement."""
    moment = DateTimeField(null=True)
    source = wanted.annotate(
        job=Value(job.pk, IntegerField()),
        ended_at=Case(
            When(verdict=Result.PENDING, then=None),
            default=Value(now, moment),
            output_field=moment,
        ),
    )
    columns = {
        "job_id": "job",
        "registration_id": "pk",
        "group_id": "group_id",
        "mac": "line__handset__mac",
        "extension": "line__extension",
        "result": "verdict",
        "reason": "why",
        "finished_at": "ended_at",
    }
    sql, params = source.order_by("pk").values_list(*columns.values()).query.sql_with_params()
    table = connection.ops.quote_name(JobResult._meta.db_table)
    with connection.cursor() as cursor:
        # Only names of our own tables and columns are spliced in.
        cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) {sql}", params)


def turns(job: Job) -> list[tuple[int, int]]:
    """Return each waiting result with its wave: a canary of each group, then so many at a time."""
    waiting = _waiting(job)
    groups = ServerGroup.objects.filter(pk__in=waiting.values("group"))
    caps = dict(groups.values_list("pk", "max_registrations_per_second"))
    sizes = {group: wave_size(cap, job.wave_size, len(caps)) for group, cap in caps.items()}
    return store.turns(job.pk, sizes, homeward=job.kind == Job.Kind.FAILBACK)


def lanes(job: Job) -> tuple[Lane, ...]:
    """Return the wave under way, group by group."""
    if job.wave is None:
        return ()
    turn = job.results.filter(wave=job.wave, result__in=ASKED).order_by()
    counted = turn.values("group__name").annotate(
        total=Count("pk"),
        pending=Count("pk", filter=Q(result=Result.PENDING)),
        failed=Count("pk", filter=Q(result__in=FAILED)),
    )
    return tuple(
        Lane(each["group__name"] or "that was deleted", *_numbers(each)) for each in counted
    )


def _numbers(each: dict[str, Any]) -> tuple[int, int, int]:
    return each["total"], each["pending"], each["failed"]


def next_wave(job: Job) -> int | None:
    """Return the first wave after the present one in which anybody waits."""
    later: int | None = queued(_waiting(job)).aggregate(first=Min("wave"))["first"]
    return later


def queued(waiting: QuerySet[JobResult]) -> QuerySet[JobResult]:
    """Return those of pending results whose wave has not begun."""
    return waiting.filter(Q(job__wave=None) | Q(wave__gt=F("job__wave")))


def asked(waiting: QuerySet[JobResult]) -> QuerySet[JobResult]:
    """Return those of pending results whose wave has begun."""
    return waiting.filter(wave__lte=F("job__wave"))


def _waiting(job: Job) -> QuerySet[JobResult]:
    return job.results.filter(result=Result.PENDING)


def begin(job: Job, wave: int, now: datetime) -> None:
    """Ask the handsets of `wave`, at the pace of their servers.

    Whom the job need not or may not move any more has its result at once.
    """
    waiting = _waiting(job).filter(wave=wave)
    there = Registration.objects.filter(pk__in=waiting.values("registration_id"))
    _lock(there)
    waiting.filter(registration=None).update(
        result=Result.LEFT_OUT, reason="It was deleted meanwhile.", finished_at=now
    )
    _judge_again(job, waiting, there, now)
    there.update(
        wish=job.kind,
        wish_by=job.asked_by,
        wish_request=job.request_id,
        wish_version=F("wish_version") + 1,
    )
    by_cap: dict[tuple[int, int], list[int]] = defaultdict(list)
    fields = ("group_id", "group__max_registrations_per_second", "pk")
    for group, cap, pk in there.order_by("pk").values_list(*fields):
        by_cap[group, cap].append(pk)
    for (_group, cap), registrations in by_cap.items():
        store.spread(registrations, cap, now.timestamp())
    job.wave, job.wave_at = wave, now
    job.save(update_fields=["wave", "wave_at"])


def _judge_again(
    job: Job, waiting: QuerySet[JobResult], there: QuerySet[Registration], now: datetime
) -> None:
    """Things have changed since the order: who came home by itself, who was switched off."""
    rows = judged(
        there.annotate(**queries.shown(now)),
        job.kind,
        server_id=job.scope.get("server"),
        job_id=job.pk,
    )
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    others = rows.exclude(verdict=Result.PENDING).values_list("pk", "verdict", "why")
    for pk, verdict, why in others:
        found[verdict, why or "It went there by itself before its turn."].append(pk)
    for (verdict, why), ids in found.items():
        waiting.filter(registration__in=ids).update(result=verdict, reason=why, finished_at=now)


def take_back(job: Job, now: datetime) -> None:
    """End the turn of all in a stopped job whom no agent has taken up yet, BATCH at a time.

    First of those who are asked already, before any agent takes them up. Since no wave of a
    stopped job begins, nobody joins them meanwhile. Call it outside of any transaction.
    """
    with transaction.atomic():
        left = asked(_waiting(job)).values("registration_id")
        wished = Registration.objects.filter(pk__in=left, wish=job.kind)
        _lock(wished)
        wished.update(wish="", wish_by="", wish_request="", wish_version=F("wish_version") + 1)
    why = "Not asked: the job stopped" if job.aborted_at else "Cancelled"
    ended = {"result": Result.CANCELLED, "reason": f"{why} before its turn.", "finished_at": now}
    ids = list(queued(_waiting(job)).order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), store.BATCH):
        some = JobResult.objects.filter(pk__in=ids[start : start + store.BATCH])
        some.filter(result=Result.PENDING).update(**ended)


def settle(job: Job, now: datetime) -> None:
    """End the results of the wave under way that no agent will answer any more.

    A wish ends without an answer when it is taken back, when the handset is deleted or no longer
    registered by Rollcall, and when its line or group was changed meanwhile. Who has moved by
    then counts as moved: an agent already at it finishes what it does.
    """
    pending = _waiting(job).filter(wave=job.wave)
    if job.wave is None or not pending.exists():
        return
    unwished = ~Q(registration__wish=job.kind) & Q(registration__lease_token__isnull=True)
    gone = Q(registration__isnull=True)
    switched = ~Q(registration__line__supervision=Line.Supervision.REGISTER)
    arrived = Q(registration__since__gte=job.wave_at, registration__state__in=_goal(job))
    is_stopped = job.cancelled_at or job.aborted_at
    why = "The job stopped before its turn." if job.aborted_at else "Cancelled before its turn."
    changed = "Its line or group was changed meanwhile."
    rules = (
        (gone, Result.LEFT_OUT, "It was deleted meanwhile."),
        (~gone & switched, Result.LEFT_OUT, "Its supervision was changed meanwhile."),
        (~gone & unwished & arrived, Result.MOVED, "It went there meanwhile."),
        (
            ~gone & unwished,
            Result.CANCELLED if is_stopped else Result.LEFT_OUT,
            why if is_stopped else changed,
        ),
    )
    for rule, result, reason in rules:
        pending.filter(rule).update(result=result, reason=reason, finished_at=now)


def _goal(job: Job) -> tuple[str, ...]:
    if job.kind == Job.Kind.FAILBACK:
        return (State.PRIMARY,)
    return (State.SECONDARY, State.FALLBACK)


def _lock(rows: QuerySet[Registration]) -> None:
    """Lock the rows by id, the order of all who write many of them (`store.sql`)."""
    list(rows.order_by("pk").select_for_update(no_key=True, of=("self",)).values_list("pk"))
