"""One look for incidents: facts in, what became of each incident down in rows, messages queued.

Beat asks for one every LOOK_S; where beat or every worker is silent, the answerer looks instead,
since somebody has to say so. However many ask, one looks.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import InterfaceError, OperationalError, connections, transaction
from django.utils import timezone

from fleet.presence import Presence
from registrations import queries
from registrations.alerts import courier, following, gathering, keeping, telling
from registrations.alerts.parts import silent_parts
from registrations.incidents.causes import troubles
from registrations.incidents.course import decide
from registrations.incidents.limits import HANDSET
from registrations.models import Incident, IncidentLook

LOOK_S = 2.0
THOROUGH_S = 30.0
"""How often what costs more is looked at too."""

OVERDUE_S = 10.0
"""A look that is so late is made by whoever notices."""

logger = logging.getLogger(__name__)

_EARLY = timedelta(seconds=0.5)

NEWS = Presence(
    incidents=lambda: Incident.objects.filter(resolved_at=None),
    followers=following.followers,
    **gathering.TROUBLES,
)
"""Without any of them there is nothing to look at, but who is silent."""


def look(now: datetime) -> bool:
    """Look unless somebody just did; return whether it was done."""
    before = _take_turn(now)
    if before is None:
        return False
    is_thorough = int(before.timestamp() // THOROUGH_S) != int(now.timestamp() // THOROUGH_S)
    if not is_thorough and _all_is_well(now):
        return True
    open_now = list(Incident.objects.filter(resolved_at=None).order_by("pk"))
    limits = queries.incident_limits()
    facts = gathering.facts(now, _named(open_now), limits, is_thorough=is_thorough)
    causes = [incident.cause for incident in open_now]
    known = [keeping.known(incident) for incident in open_now]
    decisions = decide(known, troubles(facts, causes), now.timestamp(), facts.blind, limits)
    windows = telling.windows(now)
    with transaction.atomic():
        keeping.keep(open_now, decisions, windows, now)
        telling.tell(windows, now)
        following.tell_followers(now)
        transaction.on_commit(courier.rouse)
    return True


def look_if_overdue(now: datetime) -> bool:
    """Look only where nobody has for OVERDUE_S."""
    late = now - timedelta(seconds=OVERDUE_S)
    if IncidentLook.objects.filter(at__gt=late).exists():
        return False
    return look(now)


def stand_in() -> None:
    """As `look_if_overdue`, for a process that does other things, in a thread of its own.

    The connection stays: to be opened for each look, it cost more than all the looks.
    """
    try:
        look_if_overdue(timezone.now())
    except (OperationalError, InterfaceError) as error:
        logger.warning("No look for incidents: %s", error)
        connections.close_all()


def looked_at() -> datetime | None:
    """Return when somebody last looked: so old is what is known of incidents."""
    return IncidentLook.objects.values_list("at", flat=True).first()


def _take_turn(now: datetime) -> datetime | None:
    """Move the last look on to `now`; return when that was, None where another was faster."""
    row = IncidentLook.objects.first()
    if row is None:
        long_ago = datetime.fromtimestamp(0, UTC)
        row = IncidentLook.objects.get_or_create(pk=1, defaults={"at": long_ago})[0]
    # A clock that was set back must not end all looking.
    is_new = now - row.at >= timedelta(seconds=LOOK_S) - _EARLY or row.at > now + timedelta(
        minutes=1
    )
    mine = IncidentLook.objects.filter(pk=row.pk, at=row.at)
    return row.at if is_new and mine.update(at=now) else None


def _all_is_well(now: datetime) -> bool:
    """Whether nothing is wrong, open or followed: then a look that is not thorough finds nothing.

    What is over may have to be told yet, where a rule's hours put that off: thorough looks do.
    """
    return not NEWS.seen() and not silent_parts(now)[0]


def _named(incidents: Sequence[Incident]) -> list[int]:
    """The handsets that are an incident of their own."""
    of_one = (i.registration_id for i in incidents if i.kind == HANDSET)
    return [pk for pk in of_one if pk is not None]
