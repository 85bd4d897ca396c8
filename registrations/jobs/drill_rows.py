"""What is shown of a drill: who is in it, its state, and how it stands as a sentence."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from registrations import queries
from registrations.jobs.drills import returns_at
from registrations.jobs.scopes import words
from registrations.models import Drill

STATES = ("leaving", "away", "returning", "done")


def drills() -> QuerySet[Drill]:
    """Return all drills, the latest first, without the text of their evidence."""
    return Drill.objects.select_related("away", "home").defer("evidence").order_by("-id")


def drill_state(drill: Drill) -> str:
    """Return one of STATES."""
    if drill.finished_at is not None:
        return "done"
    if drill.home_id:
        return "returning"
    return "away" if drill.away is not None and drill.away.finished_at is not None else "leaving"


def drill_row(drill: Drill) -> dict[str, Any]:
    """Return a drill as the API shows it."""
    return {
        "id": drill.pk,
        "state": drill_state(drill),
        "scope": drill.scope,
        "sample": drill.sample,
        "minutes": drill.minutes,
        "asked_by": drill.asked_by,
        "created_at": queries.moment(drill.created_at),
        "returns_at": queries.moment(returns_at(drill)),
        "ended_by": drill.ended_by,
        "finished_at": queries.moment(drill.finished_at),
        "abort_above_percent": drill.abort_above_percent,
        "wave_size": drill.wave_size,
        "away_job": drill.away_id,
        "home_job": drill.home_id,
        "stragglers": drill.stragglers,
        "sha256": drill.digest,
    }


def drill_title(drill: Drill) -> str:
    """Return who is in it, in words."""
    told = words([drill.scope])[0]
    return f"{drill.sample} of {told[:1].lower()}{told[1:]}" if drill.sample else told


def drill_sentence(drill: Drill, zone: str, now: datetime) -> str:
    """Say how a drill stands."""
    state, returns = drill_state(drill), returns_at(drill)
    if state == "leaving":
        return "They move to their other servers, a canary first."
    if state == "away" and returns is not None:
        return f"They stay away until {queries.clock(returns, zone, now)}."
    if state == "returning":
        return "They come home, a canary first."
    if drill.away is not None and drill.away.aborted_at is not None:
        return f"Stopped: {drill.away.abort_reason}"
    if not drill.stragglers:
        return "Over: everybody who had moved is home."
    verb = "has" if drill.stragglers == 1 else "have"
    return f"Over, but {drill.stragglers:,} {verb} not come home."
