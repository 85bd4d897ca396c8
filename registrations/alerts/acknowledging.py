"""Somebody has an incident in hand: nobody is told again, and everybody sees who and why."""

from datetime import datetime

import structlog
from django.db import transaction

from registrations.models import Incident, IncidentEntry

log = structlog.get_logger(__name__)


class IncidentIsOver(Exception):
    """There is nothing left to acknowledge, and no comment on what was."""


@transaction.atomic
def acknowledge(incident_id: int, by: str, comment: str, now: datetime) -> Incident:
    """Acknowledge it, or add a comment where somebody did, or where it is over.

    Raises IncidentIsOver, DoesNotExist.
    """
    incident = Incident.objects.select_for_update(of=("self",)).get(pk=incident_id)
    comment = comment.strip()[:500]
    if incident.resolved_at is not None and not comment:
        raise IncidentIsOver("It is over: nobody is told of it any more.")
    is_first = incident.acknowledged_at is None and incident.resolved_at is None
    if is_first:
        incident.acknowledged_at, incident.acknowledged_by = now, by
    incident.comment = comment or incident.comment
    incident.save(update_fields=["acknowledged_at", "acknowledged_by", "comment"])
    what = IncidentEntry.What.ACKNOWLEDGED if is_first else IncidentEntry.What.COMMENTED
    if is_first or comment:
        incident.entries.create(at=now, what=what, by=by, said=comment)
    log.info("incident acknowledged", incident=incident.pk, by=by)
    return incident
