"""What is shown of a job: its state, its sums, each handset's result."""

from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from registrations import queries
from registrations.models import Job, JobResult

Result = JobResult.Result
FAILED = (Result.REFUSED, Result.FAILED)

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
    """Return all failbacks, newest first, with `total`, `waiting`, `failed` and `finished_at`."""
    return Job.objects.annotate(
        total=Count("results"),
        waiting=Count("results", filter=Q(results__result=Result.PENDING)),
        failed=Count("results", filter=Q(results__result__in=FAILED)),
        moved=Count("results", filter=Q(results__result=Result.MOVED)),
        last_finished_at=Max("results__finished_at"),
    ).order_by("-id")


def overview(job: Any) -> dict[str, Any]:
    """Return a job of `listing()` as the API's list shows it: without the single handsets.

    `state` is running while any handset waits, then done or cancelled. `done` counts everyone who
    no longer waits, `failed` among them whom the primary refused or did not take.
    """
    over = job.waiting == 0
    state = "running" if not over else "cancelled" if job.cancelled_at else "done"
    return {
        "id": job.pk,
        "state": state,
        "scope": job.scope,
        "asked_by": job.asked_by,
        "created_at": queries.moment(job.created_at),
        "finished_at": queries.moment(job.last_finished_at or job.created_at) if over else None,
        "cancelled_at": queries.moment(job.cancelled_at),
        "cancelled_by": job.cancelled_by,
        "total": job.total,
        "done": job.total - job.waiting,
        "failed": job.failed,
        "moved": job.moved,
    }


def progress(job: Job) -> dict[str, Any]:
    """Return what `job` did so far, handset by handset, in two queries."""
    results = JobResult.objects.filter(job=job.pk).order_by("id")
    fields = ("registration_id", "mac", "extension", "result", "reason", "seconds", "finished_at")
    return overview(listing().get(pk=job.pk)) | {
        "results": [
            {
                "registration": row["registration_id"],
                "mac": row["mac"],
                "extension": row["extension"],
                "result": row["result"],
                "reason": row["reason"],
                "seconds": row["seconds"],
                "finished_at": queries.moment(row["finished_at"]),
            }
            for row in results.values(*fields)
        ]
    }
