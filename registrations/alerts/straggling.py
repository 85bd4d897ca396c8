"""Who has not been back on the primary since a drill that was over not long ago."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet

from registrations.incidents.facts import DrillFact
from registrations.models import Drill, JobResult, Registration, State, Transition

LOOKED_AT = timedelta(days=1)
"""For so long after a drill; from then on whoever is away is away for reasons of its own."""


def with_stragglers() -> QuerySet[Drill]:
    """Return the drills that were over before all were home, however long ago."""
    return Drill.objects.filter(finished_at__isnull=False, stragglers__gt=0)


def drills(now: datetime) -> Iterable[DrillFact]:
    """Return the drills that have stragglers still."""
    over = with_stragglers().filter(finished_at__gte=now - LOOKED_AT)
    for drill in over.order_by("pk"):
        moved = JobResult.objects.filter(job=drill.away_id, result=JobResult.Result.MOVED)
        there = Registration.objects.filter(pk__in=moved.values("registration"))
        home = {"to_state": State.PRIMARY, "at__gte": drill.finished_at}
        since = Transition.objects.filter(registration=OuterRef("pk"), **home)
        away = there.exclude(state__in=(State.PRIMARY, State.DISABLED)).exclude(Exists(since))
        places = list(away.order_by().values_list("group__name", "site__name"))
        if places and drill.finished_at is not None:
            yield DrillFact(
                drill.pk,
                len(places),
                moved.count(),
                drill.finished_at.timestamp(),
                groups=tuple(sorted({group for group, _ in places})),
                sites=tuple(sorted({site for _, site in places})),
            )
