"""What is shown of a drain: its state, how many are still on the server, its two jobs."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from registrations import queries
from registrations.models import Drain, Job, Registration

STATES = ("planned", "emptying", "empty", "not_empty", "returning", "done", "called_off")


def drains() -> QuerySet[Drain]:
    """Return all drains, those to come first, then the latest."""
    found = Drain.objects.select_related("server__group", "away", "home")
    return found.prefetch_related("sweeps").order_by("-begins_at", "-id")


def state_of(drain: Drain, left: int) -> str:
    """Return one of STATES; `empty` only where nobody is `left`: somebody may pull its plug then.

    It is `not_empty` where its jobs are over and did not move everybody.
    """
    if drain.finished_at is not None:
        return "done" if drain.away_id else "called_off"
    if drain.home_id:
        return "returning"
    if drain.away is None:
        return "planned"
    if any(job.finished_at is None for job in _away(drain)):
        return "emptying"
    return "not_empty" if left else "empty"


def _away(drain: Drain) -> list[Job]:
    """Return the jobs that move away from its server, as far as there are any yet."""
    return [job for job in (drain.away, *drain.sweeps.all()) if job is not None]


def left_on(drain: Drain) -> int:
    """Return how many handsets that server holds now, in all groups that name it.

    0 where the drain is over: it says nothing of them any more, and nobody is counted.
    """
    if drain.finished_at is not None:
        return 0
    places = queries.at_place_of(drain.server_id)
    return Registration.objects.filter(server__in=places, state__in=queries.BOUND).count()


def drain_row(drain: Drain) -> dict[str, Any]:
    """Return a drain as the API shows it."""
    server, left = drain.server, left_on(drain)
    return {
        "id": drain.pk,
        "state": state_of(drain, left),
        "left": None if drain.finished_at else left,
        "server": {"id": server.pk, "address": server.address, "port": server.port},
        "server_name": str(server),
        "group": server.group_id,
        "begins_at": queries.moment(drain.begins_at),
        "ends_at": queries.moment(drain.ends_at),
        "asked_by": drain.asked_by,
        "ended_by": drain.ended_by,
        "created_at": queries.moment(drain.created_at),
        "finished_at": queries.moment(drain.finished_at),
        "abort_above_percent": drain.abort_above_percent,
        "wave_size": drain.wave_size,
        "away_job": drain.away_id,
        "late_jobs": [job.pk for job in drain.sweeps.all()],
        "home_job": drain.home_id,
    }


def sentence(drain: Drain, left: int, zone: str, now: datetime) -> str:
    """Say how a drain stands."""
    name, ends = drain.server, queries.clock(drain.ends_at, zone, now)
    still = "1 handset is" if left == 1 else f"{left} are"
    is_stopped = any(job.aborted_at or job.cancelled_at for job in _away(drain))
    why = ": its job was stopped" if is_stopped else ""
    return {
        "planned": f"Begins at {queries.clock(drain.begins_at, zone, now)}.",
        "emptying": f"Its handsets are moved away; {left} {'is' if left == 1 else 'are'} on it.",
        "empty": f"{name} is kept empty until {ends}: nobody is on it.",
        "not_empty": f"{name} is not empty, {still} still on it{why}. Held until {ends}.",
        "returning": "Its handsets come home.",
        "done": "Over.",
        "called_off": "Called off before it began.",
    }[state_of(drain, left)]
