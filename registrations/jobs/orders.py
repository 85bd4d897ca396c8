"""Orders about jobs: give one, pause it, go on, cancel it, roll it back.

A job is rows, never a process. An order writes one result per registration, each with the wave in
which it has its turn; `steps.advance` asks wave after wave by setting the wishes that the agents
take up; `registrations.store` writes each agent's answer into its result.

Home is the server with priority 1: in a failover group the primary, in a fallback group entry 1.
A registration has at most one pending result: who is asked for twice is left out of the second job.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.utils import timezone

from fleet import reach
from registrations.jobs import writing
from registrations.jobs.held import OrderHeld, held
from registrations.jobs.judging import judged
from registrations.jobs.scopes import in_scope, within_reach
from registrations.jobs.steps import advance
from registrations.models import Job, JobResult
from registrations.waves import LARGEST_WAVE

User = AbstractBaseUser | AnonymousUser | str
"""Who asks: an account, or the name of one who has none."""

Result = JobResult.Result

HELD_AFTER_ROLLBACK = timedelta(hours=1)
"""How long those rolled back do not fail back by themselves: time to look at the primary."""


class JobIsOver(Exception):
    """There is nothing left to do about it; the text is a sentence for the one who asked."""


class OrderRefused(ValueError):
    """A setting of the order is wrong; `field` says which, the text is a sentence."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Terms:
    """How careful a job is."""

    abort_above_percent: int = 5
    """Stop when more than this share of a wave failed; 100: never."""
    wave_size: int | None = None
    """Handsets of one group in a wave; None: by the cap of its servers."""

    def check(self) -> None:
        """Raises OrderRefused."""
        if type(self.abort_above_percent) is not int or not 0 <= self.abort_above_percent <= 100:
            raise OrderRefused("abort_above_percent", "Give a whole number from 0 to 100.")
        size = self.wave_size
        if size is not None and (type(size) is not int or not 1 <= size <= LARGEST_WAVE):
            sentence = f"Give a whole number from 1 to {LARGEST_WAVE}."
            raise OrderRefused("wave_size", sentence)


TERMS = tuple(Terms.__dataclass_fields__)


def order(
    scope: Mapping[str, Any],
    user: User,
    terms: Terms | None = None,
    *,
    despite_hold: bool = False,
) -> Job:
    """Ask the registrations of `scope` home and return the job, its canary begun.

    `scope` is `{"registrations": [ids]}`, `{"filter": query string of the handset list}`,
    `{"group": id}`, `{"site": id}` or `{"all": True}`. `despite_hold` brings home even whom
    no-failback hours, a drain or a rollback hold. Raises ScopeError, OrderRefused, OrderHeld.
    """
    terms = terms or Terms()
    terms.check()
    now = timezone.now()
    sentences = held(judged(in_scope(scope, now)), now)
    if sentences and not despite_hold:
        raise OrderHeld(" ".join(sentences))
    job = Job(
        scope=dict(within_reach(scope)),
        asked_by=name_of(user),
        abort_above_percent=terms.abort_above_percent,
        wave_size=terms.wave_size,
    )
    # From here on it is Rollcall's, with every rule it has.
    with reach.everything():
        return give(job, now)


def give(job: Job, now: datetime) -> Job:
    """Save a new job with a result for everybody in its scope, begin it, and return it.

    Where it must be saved in a transaction with something else: `writing.begin` there, and
    `writing.write` after it.
    """
    writing.write(writing.begin(job, now), now)
    job.refresh_from_db()
    return job


def pause(job: Job, user: User) -> Job:
    """Begin no further wave until `resume`; those already asked go on. Raises JobIsOver."""
    with transaction.atomic():
        job = _open(job)
        if job.paused_at is None:
            job.paused_at, job.paused_by = timezone.now(), name_of(user)
            job.save(update_fields=["paused_at", "paused_by"])
    return job


def resume(job: Job) -> Job:
    """Go on with a paused job. Raises JobIsOver."""
    with transaction.atomic():
        job = _open(job)
        job.paused_at, job.paused_by = None, ""
        job.save(update_fields=["paused_at", "paused_by"])
        advance(job.pk, timezone.now())
    job.refresh_from_db()
    return job


def cancel(job: Job, user: User) -> Job:
    """Take back every wish of `job` that no agent has taken up yet, and return the job.

    A handset whose agent is at it right now is not interrupted: it keeps its pending result until
    the agent says how it ended, a few seconds later. Raises JobIsOver.
    """
    now = timezone.now()
    with transaction.atomic():
        call_off(_open(job), user, now)
    advance(job.pk, now)
    job.refresh_from_db()
    return job


def call_off(job: Job, user: User, now: datetime) -> Job:
    """Say that `job` is cancelled; its next steps take back whom nobody has asked yet."""
    if job.cancelled_at is None:
        job.cancelled_at, job.cancelled_by = now, name_of(user)
        job.save(update_fields=["cancelled_at", "cancelled_by"])
    return job


def roll_back(job: Job, user: User) -> Job:
    """Register those `job` moved at another server again, and return the job that does it.

    They are asked there in waves, like everybody; what they hold on the primary is left to run
    out. Whoever fails to get there stays on the primary. For an hour none of them fails back by
    itself. Raises JobIsOver.
    """
    now = timezone.now()
    with transaction.atomic():
        job = Job.objects.select_for_update().get(pk=job.pk)
        if job.kind != Job.Kind.FAILBACK:
            raise JobIsOver("Only a failback can be rolled back.")
        if job.finished_at is None:
            raise JobIsOver("Cancel it first: some of its handsets are still on their way.")
        if made := Job.objects.filter(rolls_back=job).first():
            raise JobIsOver(f"It was rolled back already, by job {made.pk}.")
        if not job.results.filter(result=Result.MOVED).exists():
            raise JobIsOver("It moved nobody, so there is nothing to roll back.")
        back = Job(
            kind=Job.Kind.ROLLBACK,
            scope={"moved_by": job.pk},
            asked_by=name_of(user),
            abort_above_percent=job.abort_above_percent,
            wave_size=job.wave_size,
            rolls_back=job,
            hold_until=now + HELD_AFTER_ROLLBACK,
        )
        writing.begin(back, now)
    writing.write(back, now)
    back.refresh_from_db()
    return back


def name_of(user: User) -> str:
    return user if isinstance(user, str) else user.get_username()


def _open(job: Job) -> Job:
    job = Job.objects.select_for_update().get(pk=job.pk)
    if job.finished_at is not None:
        word = "cancelled" if job.cancelled_at else "stopped" if job.aborted_at else "done"
        was = "is" if word == "done" else "was"
        raise JobIsOver(f"Job {job.pk} {was} {word}: nobody in it is waiting any more.")
    return job
