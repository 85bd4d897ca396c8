"""Writing an order down: its job at once, then a result for each of its scope, BATCH at a time.

As one transaction an order for a whole fleet would keep everybody else from writing for seconds.
Until all of it is written nobody takes a step of the job. Whoever gave the order writes it; if it
dies, the beat goes on where it stopped. Two at once do what one does.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from fleet import request_id
from fleet.models import ServerGroup
from registrations import queries, store
from registrations.jobs import rows
from registrations.jobs.judging import judged
from registrations.jobs.late import late
from registrations.jobs.scopes import ScopeError, in_own_scope
from registrations.jobs.steps import advance
from registrations.models import Job, JobResult, Registration

T = TypeVar("T")

PATIENCE = timedelta(seconds=30)
"""Who has written nothing for so long is dead."""

log = structlog.get_logger(__name__)


def begin(job: Job, now: datetime) -> Job:
    """Save a new job. It begins when `write` has written the rest."""
    job.request_id = job.request_id or request_id.current() or request_id.fresh()
    job.writing_until = now + PATIENCE
    job.save()
    log.info(
        "job ordered",
        request=job.request_id,
        job=job.pk,
        kind=job.kind,
        scope=_told(job.scope),
        by=job.asked_by,
    )
    return job


def write(job: Job, now: datetime) -> None:
    """Write what is not written yet of an order, and take its first step.

    Call it outside of any transaction, or its batches are none.
    """
    is_open = all(_write_results(job.pk, ids, now) for ids in _batches(_unwritten(job, now)))
    if is_open:
        is_open = all(_write_turns(job.pk, turns) for turns in _batches(rows.turns(job)))
    Job.objects.filter(pk=job.pk).update(writing_until=None)
    advance(job.pk, now)


def go_on(now: datetime) -> None:
    """Go on with the orders whose writers are dead."""
    for job in Job.objects.filter(writing_until__lt=now).order_by("pk"):
        ours = Job.objects.filter(pk=job.pk, writing_until__lt=now)
        if ours.update(writing_until=now + PATIENCE):
            log.warning("job written by another", request=job.request_id, job=job.pk)
            write(job, now)


def _unwritten(job: Job, now: datetime) -> Iterable[int]:
    """Return the registrations in scope that have no result yet."""
    try:
        wanted = in_own_scope(job.scope, now)
    except ScopeError as error:
        # What it named is gone: it was there when the order was given.
        log.warning("job without a scope", request=job.request_id, job=job.pk, why=str(error))
        return []
    if (drain := job.sweep_of.first()) is not None:
        wanted = wanted.filter(pk__in=late(drain).values("pk"))
    unwritten = wanted.exclude(_has_result(job.pk)).order_by("pk")
    return list(unwritten.values_list("pk", flat=True))


def _has_result(job_id: int) -> Exists:
    return Exists(JobResult.objects.filter(job=job_id, registration=OuterRef("pk")))


@transaction.atomic
def _write_results(job_id: int, ids: Sequence[int], now: datetime) -> bool:
    """Write the results of some; return whether the job is still to be written."""
    job = _still_ours(job_id)
    if job is None:
        return False
    wanted = Registration.objects.filter(pk__in=ids)
    # Two orders that share a group wait for each other, so that each sees the other's rows.
    groups = ServerGroup.objects.filter(pk__in=wanted.values("group_id")).order_by("pk")
    list(groups.select_for_update(no_key=True).values_list("pk"))
    shown = wanted.exclude(_has_result(job_id)).annotate(**queries.shown(now))
    rows.write_results(job, judged(shown, job.kind, server_id=job.scope.get("server")), now)
    return True


@transaction.atomic
def _write_turns(job_id: int, turns: Sequence[tuple[int, int]]) -> bool:
    job = _still_ours(job_id)
    if job is not None:
        store.write_turns(turns)
    return job is not None


def _still_ours(job_id: int) -> Job | None:
    """Lock and return the job, unless it is written already or is not wanted any more."""
    unwritten = Job.objects.filter(pk=job_id, writing_until__isnull=False, cancelled_at=None)
    job = unwritten.select_for_update().first()
    if job is not None:
        Job.objects.filter(pk=job_id).update(writing_until=timezone.now() + PATIENCE)
    return job


def _batches(things: Iterable[T]) -> Iterator[list[T]]:
    left = iter(things)
    while batch := list(islice(left, store.BATCH)):
        yield batch


def _told(scope: dict[str, Any]) -> str:
    """Return a scope for the log: of a list how long it is."""
    parts = (f"{k}={len(v) if isinstance(v, list) else v}" for k, v in scope.items())
    return " ".join(parts)
