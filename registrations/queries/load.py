"""What there is to do: what is due at each site, and the jobs and exports under way."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Count, F, IntegerField, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce

from fleet.models import Site
from registrations.models import ExportJob, Job, Registration


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for a site's workers; `lag` is how long the first has waited, in seconds."""

    site: Site
    due: int
    lag: float
    is_suspected: bool
    """Its own network is suspected: nothing of it is claimed."""


def queues(now: datetime) -> list[Queue]:
    """Return what is due at each site, in one query that reads an index and nothing else."""
    due = Registration.objects.filter(site=OuterRef("pk"), due_at__lte=now).order_by()
    waiting = due.values("site").annotate(n=Count("pk")).values("n")
    sites = Site.objects.annotate(
        due=Coalesce(Subquery(waiting, output_field=IntegerField()), 0),
        first=Subquery(due.order_by("due_at").values("due_at")[:1]),
        suspected_since=F("network__suspected_since"),
    )
    return [
        Queue(
            site,
            site.due,
            (now - site.first).total_seconds() if site.first else 0.0,
            site.suspected_since is not None,
        )
        for site in sites.order_by("name")
    ]


def jobs_open() -> Mapping[tuple[str, str], int]:
    """Return how many jobs are open, by kind and whether they are running or paused."""
    is_paused = Q(paused_at__isnull=False, cancelled_at=None, aborted_at=None)
    state = Case(When(is_paused, then=Value("paused")), default=Value("running"))
    found = Job.objects.filter(finished_at=None).order_by().annotate(state=state)
    counted = found.values_list("kind", "state").annotate(n=Count("pk"))
    return {(kind, state): n for kind, state, n in counted}


def exports_kept() -> Mapping[str, int]:
    """Return how many exports wait, run, failed or are ready to be fetched."""
    state = Case(
        When(~Q(failure=""), then=Value("failed")),
        When(finished_at__isnull=False, then=Value("ready")),
        When(leased_until__isnull=False, then=Value("running")),
        default=Value("waiting"),
    )
    found = ExportJob.objects.order_by().annotate(state=state)
    return dict(found.values_list("state").annotate(n=Count("pk")))
