"""The fleet as it was at one instant, read from the history.

A line was where its last change up to that instant had brought it. Nothing else is needed: the
index by line and time finds that change at once, so there are no snapshots that could disagree
with the history. Lines removed since are there, under the names copied when they last changed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import (
    Case,
    CharField,
    Count,
    F,
    FilteredRelation,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, Concat

from fleet.models import ServerGroup, Site
from registrations.models import Registration, State, Transition
from registrations.queries.limits import by_index
from registrations.queries.rows import shown

FIELDS = (
    "then_registration",
    "then_handset",
    "then_mac",
    "then_extension",
    "then_name",
    "then_group",
    "then_site",
    "then_state",
    "then_server",
    "then_since",
    "then_cause",
    "then_reason",
)
"""What is known of a line at an instant. `then_handset` is None where it was removed since."""

Rows = QuerySet[Any, dict[str, Any]]


def fleet_at(at: datetime, now: datetime, condition: Q | None = None) -> Rows:
    """Return every line there was at `at` as a dict of FIELDS, where `condition` on them holds.

    Ask for it `by_index`. What was not known is `unknown`: a line without a change up to then,
    or one of which nothing was heard since before `at` and until `now`.
    """
    condition = condition if condition is not None else Q()
    there = _present(at, now).filter(condition).order_by().values(*FIELDS)
    return there.union(_removed(at).filter(condition).order_by().values(*FIELDS), all=True)


def counts_at(at: datetime, now: datetime) -> list[dict[str, Any]]:
    """Return how many lines there were at `at` as `n`, by state, group, server and site (`then_…`).

    One query of the fleet and one of what was removed since.
    """
    by = ("then_state", "then_group", "then_server", "then_site")
    found = []
    with by_index():
        for rows in (_present(at, now), _removed(at)):
            found += list(rows.order_by().values(*by).annotate(n=Count("pk")))
    return found


def of_handset(pk: int) -> Q:
    """Return the condition of `fleet_at` that finds the lines of one handset."""
    return Q(then_handset=pk)


@dataclass(frozen=True, slots=True)
class Difference:
    """A line that stood elsewhere at the later of two instants; None: it was not there."""

    before: dict[str, Any] | None
    after: dict[str, Any] | None


def between(earlier: datetime, later: datetime, now: datetime) -> list[Difference]:
    """Return the lines whose state or server at `later` was another than at `earlier`.

    Whoever moved and came back in between is not among them.
    """
    moved = Transition.objects.filter(at__gt=earlier, at__lte=later).values("registration")
    unheard = Registration.objects.annotate(**shown(now)).filter(
        shown_state=State.UNKNOWN, shown_since__gt=earlier, shown_since__lte=later
    )
    either = Q(then_registration__in=moved) | Q(then_registration__in=unheard.values("pk"))
    with by_index():
        before, after = (
            {row["then_registration"]: row for row in fleet_at(at, now, either)}
            for at in (earlier, later)
        )
    pairs = ((before.get(pk), after.get(pk)) for pk in sorted(before.keys() | after.keys()))
    return [Difference(old, new) for old, new in pairs if _place(old) != _place(new)]


def _place(row: dict[str, Any] | None) -> tuple[str, str] | None:
    return None if row is None else (row["then_state"], row["then_server"])


def _present(at: datetime, now: datetime) -> QuerySet[Any]:
    newest = Transition.objects.filter(registration=OuterRef("pk"), at__lte=at)
    newest = newest.order_by("-at", "-pk").values("pk")[:1]
    rows = Registration.objects.filter(line__created_at__lte=at).annotate(**shown(now))
    rows = rows.annotate(
        last=FilteredRelation("transitions", condition=Q(transitions__pk=Subquery(newest)))
    )
    named = {
        "then_registration": F("pk"),
        "then_handset": F("line__handset_id"),
        "then_mac": Coalesce("last__mac", "line__handset__mac"),
        "then_extension": Coalesce("last__extension", "line__extension"),
        "then_name": Coalesce("last__handset_name", "line__handset__name"),
        "then_group": _named(ServerGroup, "last__group_name", "group__name"),
        "then_site": _named(Site, "last__site_name", "site__name"),
        "then_cause": Coalesce("last__cause", Value("")),
        "then_reason": Coalesce("last__reason", Value("")),
    }
    return rows.annotate(**named, **_place_at(at))


def _place_at(at: datetime) -> dict[str, Case]:
    """Where a line was: where nothing was heard since, where its last change or none had it."""
    unheard = Q(shown_state=State.UNKNOWN, shown_since__lte=at)
    moved, stood = Q(last__isnull=False), Q(since__lte=at)
    nothing = Value("")
    return {
        "then_state": Case(
            When(unheard, then=Value(State.UNKNOWN.value)),
            When(moved, then=F("last__to_state")),
            When(stood, then=F("state")),
            default=Value(State.UNKNOWN.value),
            output_field=CharField(),
        ),
        "then_server": Case(
            When(unheard, then=nothing),
            When(moved, then=F("last__to_server")),
            When(stood, then=server_label()),
            default=nothing,
            output_field=CharField(),
        ),
        "then_since": Case(
            When(unheard, then=F("shown_since")),
            When(moved, then=F("last__at")),
            When(stood, then=F("since")),
            default=F("line__created_at"),
        ),
    }


def server_label() -> Case:
    """A server's name as pages show it (`str(Server)`)."""
    port = Cast("server__port", CharField())
    return Case(
        When(server=None, then=Value("")),
        When(server__name__gt="", then=F("server__name")),
        When(server__port__gt=0, then=Concat("server__address", Value(":"), port)),
        default=F("server__address"),
        output_field=CharField(),
    )


def _removed(at: datetime) -> QuerySet[Any]:
    newest = Transition.objects.filter(registration=OuterRef("registration"), at__lte=at)
    later = Transition.objects.filter(cause="removed", at__gt=at)
    lasts = later.values_list(Subquery(newest.order_by("-at", "-pk").values("pk")[:1]))
    return Transition.objects.filter(pk__in=lasts).annotate(
        then_registration=F("registration"),
        then_handset=Value(None, output_field=Registration._meta.pk),
        then_mac=F("mac"),
        then_extension=F("extension"),
        then_name=F("handset_name"),
        then_group=F("group_name"),
        then_site=F("site_name"),
        then_state=F("to_state"),
        then_server=F("to_server"),
        then_since=F("at"),
        then_cause=F("cause"),
        then_reason=F("reason"),
    )


def _named(model: Any, copied: str, current: str) -> Case:
    """A copied name; the current one where nobody has that name any more: it was renamed."""
    names = list(model.objects.values_list("name", flat=True))
    is_known = Q(**{f"{copied}__in": names})
    return Case(When(is_known, then=F(copied)), default=F(current), output_field=CharField())
