"""Bringing handsets home: the order, its cancelling, and what became of each handset.

A failback is rows, never a process: `order` writes one result per registration and sets the wishes
that the agents take up; `registrations.store` writes each agent's answer into its result. What is
shown of a failback is derived from those rows, so it survives a restart of every part.

Home is the server with priority 1: in a failover group the primary, in a fallback group entry 1.
A registration has at most one pending result: who is asked for twice is left out of the second job.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import connection, transaction
from django.db.models import Case, DateTimeField, F, IntegerField, QuerySet, Value, When
from django.utils import timezone

from fleet.models import ServerGroup
from registrations import queries, store
from registrations.jobs.judging import judged
from registrations.jobs.scopes import in_scope
from registrations.jobs.settling import WISH, settle
from registrations.models import Job, JobResult, Registration

User = AbstractBaseUser | AnonymousUser | str
"""Who asks: an account, or the name of one who has none."""

Result = JobResult.Result


class JobIsOver(Exception):
    """There is nothing left to cancel; the text is a sentence for the one who asked."""


def order(scope: Mapping[str, Any], user: User) -> Job:
    """Ask the registrations of `scope` home and return the job.

    `scope` is `{"registrations": [ids]}`, `{"group": id}`, `{"site": id}` or `{"all": True}`.
    Raises ScopeError.
    """
    asked_by = user if isinstance(user, str) else user.get_username()
    now = timezone.now()
    with transaction.atomic():
        wanted = in_scope(scope)
        # Two orders that share a group wait for each other, so that each sees the other's rows.
        groups = ServerGroup.objects.filter(pk__in=wanted.values("group_id")).order_by("pk")
        list(groups.select_for_update(no_key=True).values_list("pk"))
        _lock(wanted)
        settle(now)
        job = Job.objects.create(scope=dict(scope), asked_by=asked_by)
        _write_results(job, wanted, now)
        _set_wishes(job, now)
    return job


def cancel(job: Job, user: User) -> Job:
    """Take back every wish of `job` that no agent has taken up yet, and return the job.

    A handset whose agent is at it right now is not interrupted: it keeps its pending result until
    the agent says how it ended, a few seconds later. Raises JobIsOver.
    """
    now = timezone.now()
    with transaction.atomic():
        job = Job.objects.select_for_update().get(pk=job.pk)
        pending = job.results.filter(result=Result.PENDING)
        if not pending.exists():
            word = "was cancelled" if job.cancelled_at else "is done"
            raise JobIsOver(f"Failback {job.pk} {word}: nobody in it is waiting any more.")
        if job.cancelled_at is None:
            job.cancelled_at = now
            job.cancelled_by = user if isinstance(user, str) else user.get_username()
            job.save(update_fields=["cancelled_at", "cancelled_by"])
        wished = Registration.objects.filter(pk__in=pending.values("registration_id"), wish=WISH)
        _lock(wished)
        wished.update(wish="", wish_by="", wish_version=F("wish_version") + 1)
        settle(now)
    return job


def _lock(rows: QuerySet[Registration]) -> None:
    """Lock the rows by id, the order of all who write many of them (`store.sql`)."""
    list(rows.order_by("pk").select_for_update(no_key=True, of=("self",)).values_list("pk"))


def _write_results(job: Job, wanted: QuerySet[Registration], now: datetime) -> None:
    moment = DateTimeField(null=True)
    rows = judged(wanted.annotate(**queries.shown(now))).annotate(
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
        "mac": "line__handset__mac",
        "extension": "line__extension",
        "result": "verdict",
        "reason": "why",
        "finished_at": "ended_at",
    }
    source = rows.order_by("pk").values_list(*columns.values())
    sql, params = source.query.sql_with_params()
    table = connection.ops.quote_name(JobResult._meta.db_table)
    with connection.cursor() as cursor:
        # Only names of our own tables and columns are spliced in.
        cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) {sql}", params)


def _set_wishes(job: Job, now: datetime) -> None:
    asked = JobResult.objects.filter(job=job, result=Result.PENDING)
    Registration.objects.filter(pk__in=asked.values("registration_id")).update(
        wish=WISH, wish_by=job.asked_by, wish_version=F("wish_version") + 1
    )
    by_cap: dict[tuple[int, int], list[int]] = {}
    capped = asked.order_by("id").values_list(
        "registration_id",
        "registration__group_id",
        "registration__group__max_registrations_per_second",
    )
    for registration, group, cap in capped:
        by_cap.setdefault((group, cap), []).append(registration)
    for (_group, cap), registrations in by_cap.items():
        store.spread(registrations, cap, now.timestamp())
