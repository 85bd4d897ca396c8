"""Who has not been back on the primary since a drill that was over not long ago."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from registrations.incidents.facts import DrillFact
from registrations.models import Drill, JobResult, Registration, State, Transition

LOOKED_AT = timedelta(days=1)
"""For so long after a drill; from then on whoever is away is away for reasons of its own."""


def drills(now: datetime) -> Iterable[DrillFact]:
    """Return the drills that have stragglers still."""
    over = Drill.objects.filter(finished_at__gte=now - LOOKED_AT, stragglers__gt=0)
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
