"""What is shown of a job: its state, its sums, each handset's result."""

from collections import Counter, defaultdict
from typing import Any

from django.db.models import Count, Exists, IntegerField, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from fleet import reach
from registrations import queries
from registrations.jobs.rows import FAILED
from registrations.jobs.waits import waits
from registrations.models import Job, JobResult

Result = JobResult.Result

STATES = ("writing", "running", "paused", "done", "cancelled", "aborted")

_HOME = {
    Result.MOVED: "Moved to primary",
    Result.ALREADY_THERE: "Was on primary",
    Result.REFUSED: "Primary refused it",
    Result.FAILED: "Primary did not take it",
}
_AWAY = {
    Result.MOVED: "Moved away",
    Result.ALREADY_THERE: "Was elsewhere already",
    Result.REFUSED: "Refused elsewhere",
    Result.FAILED: "Nobody else took it",
}


def result_word(kind: str, result: str) -> str:
    """Return a result in words, as it reads in a job of that kind."""
    words = _HOME if kind == Job.Kind.FAILBACK else _AWAY
    return words.get(Result(result), str(Result(result).label))


def listing() -> QuerySet[Job]:
    """Return the jobs within reach, newest first.

    With `total`, `waiting`, `failed`, `moved`, `left_out` and `waves`.
    """
    results = JobResult.objects.filter(job=OuterRef("pk")).order_by().values("job")
    last = results.annotate(last=Max("wave"))
    return (
        Job.objects.filter(_is_within_reach())
        .select_related("rolled_back_by")
        .annotate(
            total=_count(results),
            waiting=_count(results.filter(result=Result.PENDING)),
            failed=_count(results.filter(result__in=FAILED)),
            moved=_count(results.filter(result=Result.MOVED)),
            left_out=_count(results.filter(result=Result.LEFT_OUT)),
            waves=Subquery(last.values("last")),
        )
        .order_by("-id")
    )


def _is_within_reach() -> Q:
    """The jobs of which somebody who is limited to sites may know: all in them are there."""
    ids = reach.sites()
    if ids is None:
        return Q()
    those = JobResult.objects.filter(job=OuterRef("pk"))
    elsewhere = those.exclude(registration__site__in=ids)
    return Q(Exists(those)) & ~Q(Exists(elsewhere))


def _count(results: QuerySet[Any]) -> Coalesce:
    counted = results.annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def overview(job: Any) -> dict[str, Any]:
    """Return a job of `listing()` as the API's list shows it: without the single handsets.

    `done` counts everyone who no longer waits, `failed` among them who was refused or not taken.
    """
    back = getattr(job, "rolled_back_by", None)
    return {
        "id": job.pk,
        "kind": job.kind,
        "state": state_of(job),
        "scope": job.scope,
        "asked_by": job.asked_by,
        "request_id": job.request_id,
        "automatic": job.is_automatic,
        "abort_above_percent": job.abort_above_percent,
        "wave_size": job.wave_size,
        "created_at": queries.moment(job.created_at),
        "finished_at": queries.moment(job.finished_at),
        "paused_at": queries.moment(job.paused_at),
        "paused_by": job.paused_by,
        "cancelled_at": queries.moment(job.cancelled_at),
        "cancelled_by": job.cancelled_by,
        "aborted_at": queries.moment(job.aborted_at),
        "abort_reason": job.abort_reason,
        "rolls_back": job.rolls_back_id,
        "rolled_back_by": back.pk if back is not None else None,
        "hold_until": queries.moment(job.hold_until),
        "wave": job.wave,
        "waves": job.waves,
        "total": job.total,
        "done": job.total - job.waiting,
        "failed": job.failed,
        "moved": job.moved,
        "left_out": job.left_out,
    }


def state_of(job: Job) -> str:
    """Return running while any handset waits (paused: for an operator), then how it ended.

    `writing` comes before: who is in it is being written down, and nobody is asked yet.
    """
    if job.finished_at is None:
        is_stopped = job.cancelled_at or job.aborted_at
        if job.writing_until and not is_stopped:
            return "writing"
        return "paused" if job.paused_at and not is_stopped else "running"
    if job.aborted_at:
        return "aborted"
    return "cancelled" if job.cancelled_at else "done"


def by_wave(job_id: int) -> dict[int | None, Counter[str]]:
    """Return how many of each wave came to each result; under None those who have no turn."""
    counted = JobResult.objects.filter(job=job_id).order_by("wave")
    found: dict[int | None, Counter[str]] = defaultdict(Counter)
    for wave, result, n in counted.values_list("wave", "result").annotate(n=Count("pk")):
        found[wave][result] = n
    return dict(found)


def progress(job: Job) -> dict[str, Any]:
    """Return what `job` did so far, handset by handset, and whom nobody takes up; four queries."""
    results = JobResult.objects.filter(job=job.pk).order_by("id")
    fields = ("registration_id", "mac", "extension", "wave", "result", "reason", "seconds")
    return overview(listing().get(pk=job.pk)) | {
        "waits": waits(job, timezone.now()),
        "results": [
            {
                "registration": row["registration_id"],
                "mac": row["mac"],
                "extension": row["extension"],
                "wave": row["wave"],
                "result": row["result"],
                "reason": row["reason"],
                "seconds": row["seconds"],
                "finished_at": queries.moment(row["finished_at"]),
            }
            for row in results.values(*fields, "finished_at")
        ],
    }
