"""One step of a job: look at its rows, decide, write what follows. Harmless when taken twice.

Whoever likes may take it: the beat's task each second, an order, a command that waits. The job's
row is locked meanwhile, so that of two at once the second sees what the first has done.
"""

from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet

from registrations.jobs import automatic, rows
from registrations.models import Job
from registrations.waves import Act, Facts, decide

log = structlog.get_logger(__name__)


def advance(job_id: int, now: datetime) -> None:
    """Take the steps that this job is ready for, each in a transaction of its own.

    Nothing where somebody else is at it, or it is not all written down yet.
    """
    is_stopped = Q(cancelled_at__isnull=False) | Q(aborted_at__isnull=False)
    is_due = True
    while is_due:
        stopped = _open(job_id).filter(is_stopped).first()
        if stopped is not None:
            rows.take_back(stopped, now)
        is_due = _advance(job_id, now)


@transaction.atomic
def _advance(job_id: int, now: datetime) -> bool:
    job = _open(job_id).select_for_update(skip_locked=True).first()
    return job is not None and _step(job, now)


def _open(job_id: int) -> QuerySet[Job]:
    return Job.objects.filter(pk=job_id, finished_at=None, writing_until=None)


def _step(job: Job, now: datetime) -> bool:
    """Take one step; return whether the next may be due at once."""
    rows.settle(job, now)
    facts = _facts(job, now)
    if facts.is_stopped and facts.next_wave is not None:
        # Stopped since we looked: those are taken back first.
        return True
    decision = decide(facts)
    if decision.act is Act.BEGIN:
        rows.begin(job, decision.wave, now)
        log.info("wave begun", request=job.request_id, job=job.pk, wave=decision.wave)
        # A wave whose handsets all went by themselves is over as soon as it has begun.
        return not any(lane.pending for lane in rows.lanes(job))
    if decision.act is Act.ABORT:
        log.warning("job stopped", request=job.request_id, job=job.pk, why=decision.reason)
        job.aborted_at, job.abort_reason = now, decision.reason
        job.save(update_fields=["aborted_at", "abort_reason"])
        return True
    if decision.act is Act.FINISH:
        log.info("job over", request=job.request_id, job=job.pk)
        job.finished_at = now
        job.save(update_fields=["finished_at"])
    return False


def _facts(job: Job, now: datetime) -> Facts:
    waits = job.is_automatic and automatic.must_wait(job, now)
    return Facts(
        wave=job.wave,
        lanes=rows.lanes(job),
        next_wave=rows.next_wave(job),
        abort_above_percent=job.abort_above_percent,
        is_paused=job.paused_at is not None or waits,
        is_stopped=job.cancelled_at is not None or job.aborted_at is not None,
    )
