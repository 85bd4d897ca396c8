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
from django.db.models import (
    Case,
    CharField,
    Count,
    DateTimeField,
    Exists,
    F,
    IntegerField,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from fleet.filters import LARGEST_ID
from fleet.models import Line, Server, ServerGroup, Site
from registrations import queries, store
from registrations.models import Failback, FailbackResult, Registration, State

User = AbstractBaseUser | AnonymousUser | str
"""Who asks: an account, or the name of one who has none."""

WISH = "failback"
"""What `Registration.wish` says while a handset is asked home."""

MAX_LISTED = 10_000
"""How many registrations a scope may list by id; more is a group, a site or all."""

Result = FailbackResult.Result
FAILED = (Result.REFUSED, Result.FAILED)


class ScopeError(ValueError):
    """The scope names nothing that can be brought home; `field` says which part is wrong."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.sentence = sentence


class FailbackIsOver(Exception):
    """There is nothing left to cancel; the text is a sentence for the one who asked."""


def order(scope: Mapping[str, Any], user: User) -> Failback:
    """Ask the registrations of `scope` home and return the job.

    `scope` is `{"registrations": [ids]}`, `{"group": id}`, `{"site": id}` or `{"all": True}`.
    Raises ScopeError.
    """
    asked_by = user if isinstance(user, str) else user.get_username()
    now = timezone.now()
    with transaction.atomic():
        wanted = _registrations(scope)
        # Two orders that share a group wait for each other, so that each sees the other's rows.
        groups = ServerGroup.objects.filter(pk__in=wanted.values("group_id")).order_by("pk")
        list(groups.select_for_update(no_key=True).values_list("pk"))
        _lock(wanted)
        settle(now)
        job = Failback.objects.create(scope=dict(scope), asked_by=asked_by)
        _write_results(job, wanted, now)
        _set_wishes(job, now)
    return job


def cancel(job: Failback, user: User) -> Failback:
    """Take back every wish of `job` that no agent has taken up yet, and return the job.

    A handset whose agent is at it right now is not interrupted: it keeps its pending result until
    the agent says how it ended, a few seconds later. Raises FailbackIsOver.
    """
    now = timezone.now()
    with transaction.atomic():
        job = Failback.objects.select_for_update().get(pk=job.pk)
        pending = job.results.filter(result=Result.PENDING)
        if not pending.exists():
            word = "was cancelled" if job.cancelled_at else "is done"
            raise FailbackIsOver(f"Failback {job.pk} {word}: nobody in it is waiting any more.")
        if job.cancelled_at is None:
            job.cancelled_at = now
            job.cancelled_by = user if isinstance(user, str) else user.get_username()
            job.save(update_fields=["cancelled_at", "cancelled_by"])
        wished = Registration.objects.filter(pk__in=pending.values("registration_id"), wish=WISH)
        _lock(wished)
        wished.update(wish="", wish_by="", wish_version=F("wish_version") + 1)
        settle(now)
    return job


def settle(now: datetime | None = None) -> int:
    """End the pending results that no agent will answer any more, and return how many.

    A wish ends without an answer when it is cancelled, when the handset is deleted or no longer
    registered by Rollcall, and when its line or group was changed meanwhile. Who is home by then
    counts as moved: an agent already at it finishes what it does.
    """
    now = now or timezone.now()
    pending = FailbackResult.objects.filter(result=Result.PENDING)
    if not pending.exists():
        return 0
    unwished = ~Q(registration__wish=WISH) & Q(registration__lease_token__isnull=True)
    gone = Q(registration__isnull=True)
    switched = ~Q(registration__line__supervision=Line.Supervision.REGISTER)
    home = Q(registration__state=State.PRIMARY, registration__since__gte=F("failback__created_at"))
    rules = (
        (gone, Result.LEFT_OUT, "It was deleted meanwhile."),
        (~gone & switched, Result.LEFT_OUT, "Its supervision was changed meanwhile."),
        (~gone & unwished & home, Result.MOVED, "It came home meanwhile."),
        (
            ~gone & unwished & Q(failback__cancelled_at__isnull=False),
            Result.CANCELLED,
            "Cancelled before its turn.",
        ),
        (~gone & unwished, Result.LEFT_OUT, "Its line or group was changed meanwhile."),
    )
    with transaction.atomic():
        return sum(
            pending.filter(rule).update(result=result, reason=reason, finished_at=now)
            for rule, result, reason in rules
        )


def jobs() -> QuerySet[Failback]:
    """Return all failbacks, newest first, with `total`, `waiting`, `failed` and `finished_at`."""
    return Failback.objects.annotate(
        total=Count("results"),
        waiting=Count("results", filter=Q(results__result=Result.PENDING)),
        failed=Count("results", filter=Q(results__result__in=FAILED)),
        moved=Count("results", filter=Q(results__result=Result.MOVED)),
        last_finished_at=Max("results__finished_at"),
    ).order_by("-id")


def overview(job: Any) -> dict[str, Any]:
    """Return a job of `jobs()` as the API's list shows it: without the single handsets.

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


def progress(job: Failback) -> dict[str, Any]:
    """Return what `job` did so far, handset by handset, in two queries."""
    results = FailbackResult.objects.filter(failback=job.pk).order_by("id")
    fields = ("registration_id", "mac", "extension", "result", "reason", "seconds", "finished_at")
    return overview(jobs().get(pk=job.pk)) | {
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


def scope_words(scopes: list[Mapping[str, Any]]) -> list[str]:
    """Return each scope in words ("Group Ward 4", "12 handsets"), in two queries for all."""
    groups = _names(ServerGroup, [s["group"] for s in scopes if "group" in s])
    sites = _names(Site, [s["site"] for s in scopes if "site" in s])
    words = []
    for scope in scopes:
        if "group" in scope:
            words.append(f"Group {groups.get(scope['group'], 'that was deleted')}")
        elif "site" in scope:
            words.append(f"Site {sites.get(scope['site'], 'that was deleted')}")
        elif "registrations" in scope:
            n = len(scope["registrations"])
            words.append("1 handset" if n == 1 else f"{n} handsets")
        else:
            words.append("All handsets")
    return words


def _names(model: type[ServerGroup] | type[Site], ids: list[int]) -> dict[int, str]:
    return dict(model.objects.filter(pk__in=ids).values_list("pk", "name")) if ids else {}


def _registrations(scope: Mapping[str, Any]) -> QuerySet[Registration]:
    kinds = {"registrations", "group", "site", "all"}
    if len(scope) != 1 or not kinds.issuperset(scope):
        raise ScopeError(
            "scope", "Give exactly one of registrations (a list of ids), group, site, or all."
        )
    ((kind, value),) = scope.items()
    rows = Registration.objects.all()
    if kind == "registrations":
        return rows.filter(pk__in=_listed(value))
    if kind == "all":
        if value is not True:
            raise ScopeError("all", "Give true, or leave it out.")
        return rows
    model = ServerGroup if kind == "group" else Site
    if not _is_id(value) or not model.objects.filter(pk=value).exists():
        raise ScopeError(kind, f"There is no {kind} {value!r}.")
    return rows.filter(**{kind: value})


def _listed(value: Any) -> set[int]:
    field = "registrations"
    if not isinstance(value, list) or not value or not all(map(_is_id, value)):
        raise ScopeError(field, "Give a list of registration ids.")
    ids = set(value)
    if len(ids) > MAX_LISTED:
        sentence = f"At most {MAX_LISTED} can be listed; name a group or a site, or all."
        raise ScopeError(field, sentence)
    known = set(Registration.objects.filter(pk__in=ids).values_list("pk", flat=True))
    if missing := sorted(ids - known):
        shown = ", ".join(map(str, missing[:20])) + (", ..." if len(missing) > 20 else "")
        raise ScopeError(field, f"There is no registration {shown}.")
    return ids


def _lock(rows: QuerySet[Registration]) -> None:
    """Lock the rows by id, the order of all who write many of them (`store.sql`)."""
    list(rows.order_by("pk").select_for_update(no_key=True, of=("self",)).values_list("pk"))


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 < value <= LARGEST_ID


def judged(rows: QuerySet[Registration]) -> QuerySet[Registration]:
    """Annotate rows that carry `queries.shown` with `verdict` and `why`.

    The verdict is the result an order would begin with: pending, already_there or left_out.
    """
    open_jobs = FailbackResult.objects.filter(registration=OuterRef("pk"), result=Result.PENDING)
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
    asked = rows.annotate(
        open_job=Subquery(open_jobs.values("failback_id")[:1]), has_home=Exists(homes)
    )
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


def _write_results(job: Failback, wanted: QuerySet[Registration], now: datetime) -> None:
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
        "failback_id": "job",
        "registration_id": "pk",
        "mac": "line__handset__mac",
        "extension": "line__extension",
        "result": "verdict",
        "reason": "why",
        "finished_at": "ended_at",
    }
    source = rows.order_by("pk").values_list(*columns.values())
    sql, params = source.query.sql_with_params()
    table = connection.ops.quote_name(FailbackResult._meta.db_table)
    with connection.cursor() as cursor:
        # Only names of our own tables and columns are spliced in.
        cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) {sql}", params)


def _set_wishes(job: Failback, now: datetime) -> None:
    asked = FailbackResult.objects.filter(failback=job, result=Result.PENDING)
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
