"""Who of a scope is moved, who is there already, who is left out and why.

One expression for the preview, for the order, and for the turn of each wave.
"""

import time
from collections import defaultdict
from collections.abc import Sequence

from django.db.models import Case, CharField, FilteredRelation, Q, QuerySet, Value, When
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
    # At most one result of a registration is pending, so the join makes no row two.
    is_open = Q(job_results__result=Result.PENDING)
    if job_id is not None:
        is_open &= ~Q(job_results__job=job_id)
    asked = rows.annotate(open_result=FilteredRelation("job_results", condition=is_open))
    return asked.annotate(verdict=verdict, why=why)


def _out_of_reach() -> Sequence[Rule]:
    """Return who is moved by no job."""
    out = Result.LEFT_OUT.value
    observe, register = Line.Supervision.OBSERVE, Line.Supervision.REGISTER
    number = Cast("open_result__job_id", CharField())
    job = Concat(Value("Job "), number, Value(" is moving it already."))
    return (
        (
            Q(line__supervision=observe),
            out,
            Value("It is only observed and cannot be moved from here: the handset decides."),
        ),
        (~Q(line__supervision=register), out, Value("Its supervision is off.")),
        (Q(open_result__isnull=False), out, job),
    )


def _homeward(_server_id: int | None) -> Sequence[Rule]:
    out = Result.LEFT_OUT.value
    homes = Server.objects.filter(priority=1, register=True)
    no_home = ~Q(group__in=homes.values("group"))
    return (
        (Q(shown_state=State.PRIMARY), Result.ALREADY_THERE.value, Value("")),
        (no_home, out, Value("Its group has no primary that takes registrations.")),
        (Q(shown_state=State.REJECTED), out, Value("Rejected: no server takes it.")),
        (Q(shown_state=State.HELD), out, Value("Held back: somebody else is bound.")),
    )


def _away_from(server_id: int | None) -> Sequence[Rule]:
    there = Q(server__in=queries.at_place_of(server_id or 0))
    return (
        (~there | Q(server=None), Result.ALREADY_THERE.value, Value("")),
        _nowhere_else(),
    )


def _back_from_primary(_server_id: int | None) -> Sequence[Rule]:
    return (
        (~Q(state=State.PRIMARY), Result.ALREADY_THERE.value, Value("")),
        _nowhere_else(),
    )


def _nowhere_else() -> Rule:
    """Leave out whose group has no server but its own that would take it now."""
    drained = list(queries.holds_at(time.time()).drained)
    open_ones = Server.objects.filter(register=True).exclude(pk__in=drained)
    by_group: dict[int, list[int]] = defaultdict(list)
    for pk, group in open_ones.values_list("pk", "group"):
        by_group[group].append(pk)
    alone = [servers[0] for servers in by_group.values() if len(servers) == 1]
    sentence = "Its group has no other server that takes registrations now."
    nowhere = ~Q(group__in=list(by_group)) | Q(server__in=alone)
    return nowhere, Result.LEFT_OUT.value, Value(sentence)


_RULES = {
    Job.Kind.FAILBACK: _homeward,
    Job.Kind.DRAIN: _away_from,
    Job.Kind.ROLLBACK: _back_from_primary,
    Job.Kind.DRILL: _back_from_primary,
}
"""The first rule that holds counts."""
