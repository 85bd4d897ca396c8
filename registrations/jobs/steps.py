"""One step of a job: look at its rows, decide, write what follows. Harmless when taken twice.

Whoever likes may take it: the beat's task each second, an order, a command that waits. The job's
row is locked meanwhile, so that of two at once the second sees what the first has done.
"""

from datetime import datetime

import structlog
from django.db import transaction

from registrations.jobs import automatic, rows
from registrations.models import Job
from registrations.waves import Act, Facts, decide

log = structlog.get_logger(__name__)


@transaction.atomic
def advance(job_id: int, now: datetime) -> None:
    """Take the steps that this job is ready for. Nothing where somebody else is at it."""
    open_jobs = Job.objects.select_for_update(skip_locked=True).filter(finished_at=None)
    job = open_jobs.filter(pk=job_id).first()
    while job is not None and _step(job, now):
        pass


def _step(job: Job, now: datetime) -> bool:
    """Take one step; return whether the next may be due at once."""
    rows.settle(job, now)
    decision = decide(_facts(job, now))
    if decision.act is Act.BEGIN:
        rows.begin(job, decision.wave, now)
        log.info("wave begun", request=job.request_id, job=job.pk, wave=decision.wave)
        # A wave whose handsets all went by themselves is over as soon as it has begun.
        return not any(lane.pending for lane in rows.lanes(job))
    if decision.act is Act.ABORT:
        log.warning("job stopped", request=job.request_id, job=job.pk, why=decision.reason)
        job.aborted_at, job.abort_reason = now, decision.reason
        job.save(update_fields=["aborted_at", "abort_reason"])
        rows.take_back(job, "Not asked: the job stopped before its turn.", now)
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
