"""Who of a scope is asked home, who is there already, who is left out and why."""

from django.db.models import Case, CharField, Exists, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Concat

from fleet.models import Line, Server
from registrations.models import JobResult, Registration, State

Result = JobResult.Result


def judged(rows: QuerySet[Registration]) -> QuerySet[Registration]:
    """Annotate rows that carry `queries.shown` with `verdict` and `why`.

    The verdict is the result an order would begin with: pending, already_there or left_out.
    """
    open_jobs = JobResult.objects.filter(registration=OuterRef("pk"), result=Result.PENDING)
    homes = Server.objects.filter(group=OuterRef("group"), priority=1, register=True)
    rules = _rules()
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
    asked = rows.annotate(open_job=Subquery(open_jobs.values("job_id")[:1]), has_home=Exists(homes))
    return asked.annotate(verdict=verdict, why=why)


def _rules() -> tuple[tuple[Q, str, Combinable], ...]:
    """Return who is not asked home: condition, result, reason. The first that holds counts."""
    out, there = Result.LEFT_OUT.value, Result.ALREADY_THERE.value
    observe, register = Line.Supervision.OBSERVE, Line.Supervision.REGISTER
    job = Concat(Value("Already asked home by job "), Cast("open_job", CharField()), Value("."))
    return (
        (
            Q(line__supervision=observe),
            out,
            Value("It is only observed: when it goes home is the handset's own decision."),
        ),
        (~Q(line__supervision=register), out, Value("Its supervision is off.")),
        (Q(open_job__isnull=False), out, job),
        (Q(shown_state=State.PRIMARY), there, Value("")),
        (Q(has_home=False), out, Value("Its group has no primary that takes registrations.")),
        (Q(shown_state=State.REJECTED), out, Value("Rejected: no server takes it.")),
        (Q(shown_state=State.HELD), out, Value("Held back: somebody else is bound.")),
    )
