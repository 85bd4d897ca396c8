"""What an order home goes against: hours in which nothing fails back, a drain, a rollback."""

from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet

from fleet.models import Server
from registrations import queries
from registrations.models import Job, JobResult

Result = JobResult.Result


class OrderHeld(Exception):
    """It goes against what is on and was not told to; the text is a sentence for each."""


def held(asked: QuerySet[Any], now: datetime) -> list[str]:
    """Say what going home now goes against for those of these judged rows who would be asked."""
    moment = now.timestamp()
    holds = queries.holds_at(moment)
    waiting = asked.filter(verdict=Result.PENDING)
    told = _rolled_back(waiting, now)
    if holds.drained or holds.quiet:
        fields = ("group", "group__name", "site", "site__name", "site__time_zone")
        places = list(waiting.order_by().values_list(*fields).distinct())
        told += _quiet(places, holds)
        told += _drained({place[0] for place in places}, holds, places[0][4] if places else "UTC")
    return told


def hold_of(registration: Any, home: Server | None, now: datetime) -> str:
    """Say why this line does not go home, to `home`, by itself now; '' where it may."""
    holds = queries.holds_at(now.timestamp(), [registration.pk])
    if registration.pk in holds.rolled_back and (drill := _drill_of(registration, now)):
        return f"Not before drill {drill} is over, which keeps it away."
    zone = registration.site.time_zone
    untils = (
        (holds.drained.get(home.pk if home else 0), f"{home} is being drained"),
        (holds.rolled_back.get(registration.pk), "its failback was rolled back"),
        (
            holds.quiet_until(registration.group_id, registration.site_id) or None,
            "these are no-failback hours",
        ),
    )
    for until, why in untils:
        if until:
            ends = queries.clock(datetime.fromtimestamp(until, UTC), zone)
            return f"Not before {ends}: {why}."
    return ""


def _quiet(places: list[tuple[Any, ...]], holds: queries.Holds) -> list[str]:
    said = set()
    for group, name, site, site_name, zone in places:
        until = holds.quiet_until(group, site)
        if until:
            ends = queries.clock(datetime.fromtimestamp(until, UTC), zone)
            said.add(f"No-failback hours of {name} at {site_name} until {ends}.")
    return sorted(said)


def _drained(groups: set[int], holds: queries.Holds, zone: str) -> list[str]:
    homes = Server.objects.filter(group__in=groups, priority=1, pk__in=list(holds.drained))
    return [
        f"{home} is being drained until "
        f"{queries.clock(datetime.fromtimestamp(holds.drained[home.pk], UTC), zone)}."
        for home in homes.order_by("pk")
    ]


def _rolled_back(waiting: QuerySet[Any], now: datetime) -> list[str]:
    holding = Job.objects.filter(hold_until__gt=now).select_related("drill_away").order_by("pk")
    return [
        f"Drill {job.drill_away.pk} keeps some of them away."
        if hasattr(job, "drill_away")
        else f"Some of them were rolled back by job {job.pk}."
        for job in holding
        if waiting.filter(pk__in=job.results.values("registration")).exists()
    ]


def _drill_of(registration: Any, now: datetime) -> int | None:
    """Return the drill that keeps this line away now."""
    moved = registration.job_results.filter(result=Result.MOVED, job__hold_until__gt=now)
    drills = moved.filter(job__drill_away__isnull=False).order_by("-job")
    found: int | None = drills.values_list("job__drill_away", flat=True).first()
    return found
