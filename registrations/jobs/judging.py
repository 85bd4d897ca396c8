"""Who of a scope is moved, who is there already, who is left out and why.

One expression for the preview, for the order, and for the turn of each wave.
"""

import time
from collections.abc import Sequence

from django.db.models import Case, CharField, Exists, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Concat

from fleet.models import Line, Server
from registrations import queries
from registrations.models import Job, JobResult, Registration, State

Result = JobResult.Result
Rule = tuple[Q, str, Combinable]
"""Condition, result, reason."""


def judged(
    rows: QuerySet[Registration],
    kind: str = Job.Kind.FAILBACK,
    *,
    server_id: int | None = None,
    job_id: int | None = None,
) -> QuerySet[Registration]:
    """Annotate rows that carry `queries.shown` with `verdict` and `why`.

    The verdict is the result a job of that kind would begin with: pending, already_there or
    left_out. `server_id` is the server a drain empties; `job_id` the job that judges its own.
    """
    open_jobs = JobResult.objects.filter(registration=OuterRef("pk"), result=Result.PENDING)
    if job_id is not None:
        open_jobs = open_jobs.exclude(job=job_id)
    rules = (*_out_of_reach(), *_RULES[kind](server_id))
    verdict = Case(
        *(When(rule, then=Value(result)) for rule, result, _ in rules),
        default=Value(Result.PENDING.value),
        output_field=CharField(),
    )
    why = Case(
        *(When(rule, then=reason) for rule, _, reason in rules),
        default=Value(""),
        output_field=CharField(),
    )
    asked = rows.annotate(
        open_job=Subquery(open_jobs.values("job_id")[:1]), has_goal=_has_goal(kind)
    )
    return asked.annotate(verdict=verdict, why=why)


def _has_goal(kind: str) -> Exists:
    """Whether its group has a server for it to go to."""
    here = Server.objects.filter(group=OuterRef("group"), register=True)
    if kind == Job.Kind.FAILBACK:
        return Exists(here.filter(priority=1))
    drained = queries.holds_at(time.time()).drained
    return Exists(here.exclude(pk=OuterRef("server")).exclude(pk__in=list(drained)))


def _out_of_reach() -> Sequence[Rule]:
    """Return who is moved by no job."""
    out = Result.LEFT_OUT.value
    observe, register = Line.Supervision.OBSERVE, Line.Supervision.REGISTER
    job = Concat(Value("Job "), Cast("open_job", CharField()), Value(" is moving it already."))
    return (
        (
            Q(line__supervision=observe),
            out,
            Value("It is only observed and cannot be moved from here: the handset decides."),
        ),
        (~Q(line__supervision=register), out, Value("Its supervision is off.")),
        (Q(open_job__isnull=False), out, job),
    )


def _homeward(_server_id: int | None) -> Sequence[Rule]:
    out = Result.LEFT_OUT.value
    return (
        (Q(shown_state=State.PRIMARY), Result.ALREADY_THERE.value, Value("")),
        (Q(has_goal=False), out, Value("Its group has no primary that takes registrations.")),
        (Q(shown_state=State.REJECTED), out, Value("Rejected: no server takes it.")),
        (Q(shown_state=State.HELD), out, Value("Held back: somebody else is bound.")),
    )


def _away_from(server_id: int | None) -> Sequence[Rule]:
    there = Q(server__in=queries.at_place_of(server_id or 0))
    return (
        (~there | Q(server=None), Result.ALREADY_THERE.value, Value("")),
        _NOWHERE_ELSE,
    )


def _back_from_primary(_server_id: int | None) -> Sequence[Rule]:
    return (
        (~Q(state=State.PRIMARY), Result.ALREADY_THERE.value, Value("")),
        _NOWHERE_ELSE,
    )


_NOWHERE_ELSE: Rule = (
    Q(has_goal=False),
    Result.LEFT_OUT.value,
    Value("Its group has no other server that takes registrations now."),
)
_RULES = {
    Job.Kind.FAILBACK: _homeward,
    Job.Kind.DRAIN: _away_from,
    Job.Kind.ROLLBACK: _back_from_primary,
}
"""The first rule that holds counts."""
