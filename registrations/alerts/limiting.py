"""A row for each kind of incident, so that its limits can be seen, changed and locked."""

from registrations.incidents.limits import LIMITS
from registrations.models import IncidentLimit


def ensure_limits() -> None:
    """Make the rows that are missing; they say nothing, so that all is as by default."""
    if IncidentLimit.objects.count() < len(LIMITS):
        rows = [IncidentLimit(kind=kind) for kind in LIMITS]
        IncidentLimit.objects.bulk_create(rows, ignore_conflicts=True)
