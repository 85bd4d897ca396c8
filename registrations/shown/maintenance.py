"""Drains and no-failback hours as pages show them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from registrations import jobs, queries
from registrations.jobs import drill_rows
from registrations.jobs.drain_rows import sentence
from registrations.models import Drain, Drill, QuietHours

SHOWN = 5
"""How many drains the page of jobs lists."""


def drains(zone: str) -> list[dict[str, Any]]:
    """Return the latest drains as the page of jobs shows them."""
    return [_drain(drain, zone) for drain in jobs.drains()[:SHOWN]]


def drains_on(zone: str) -> list[dict[str, Any]]:
    """Return those that are on now."""
    begun = jobs.drains().filter(finished_at=None, begins_at__lte=timezone.now())
    return [_drain(drain, zone) for drain in begun]


def drains_of(server_id: int, zone: str) -> list[dict[str, Any]]:
    """Return those of a server, or of the same place in another group, that are not over."""
    places = queries.at_place_of(server_id)
    return [_drain(d, zone) for d in jobs.drains().filter(server__in=places, finished_at=None)]


def _drain(drain: Drain, zone: str) -> dict[str, Any]:
    now, row = timezone.now(), jobs.drain_row(drain)
    return {
        "row": row,
        "sentence": sentence(drain, row["left"] or 0, zone, now),
        "may_end": drain.finished_at is None and drain.ends_at > now,
    }


def drills(zone: str) -> list[dict[str, Any]]:
    """Return the latest drills as the page of jobs shows them."""
    return [drill(each, zone) for each in drill_rows.drills()[:SHOWN]]


def drill(found: Drill, zone: str) -> dict[str, Any]:
    """Return one drill as pages show it, without what it proves."""
    return {
        "row": drill_rows.drill_row(found),
        "title": drill_rows.drill_title(found),
        "sentence": drill_rows.drill_sentence(found, zone, timezone.now()),
        "may_end": found.finished_at is None and found.home_id is None and not found.ended_at,
    }


_TOOK = ("median", "of_95_percent", "longest")


def sums_of(evidence: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the counts of both ways of a drill, with the times in reading order."""
    return [
        (word, {**sums, "took": [sums["seconds"][name] for name in _TOOK]})
        for word, sums in (("Away", evidence["away"]), ("Home", evidence["home"]))
    ]


def hours() -> list[dict[str, Any]]:
    """Return all no-failback hours as the page of jobs shows them."""
    now = timezone.now()
    return [
        {
            "pk": each.pk,
            "place": jobs.place_word(each),
            "word": jobs.hours_word(each),
            "zone": each.site.time_zone if each.site else "by the clock of each site",
            "spells": _spells(each, now),
        }
        for each in QuietHours.objects.select_related("group", "site")
    ]


def _spells(hours: QuietHours, now: datetime) -> list[dict[str, Any]]:
    """Return when they end by each clock they are on by; where they are on nowhere, begin next."""
    zones = queries.zones_of(hours)
    spells = [(zone, *jobs.standing(hours, now, zone)) for zone in zones]
    on = [(end, zone) for zone, end, _ in spells if end is not None]
    if on:
        return [{"clock": zone, "ends_at": _moment(end)} for end, zone in sorted(on)]
    next_ones = sorted((begin, zone) for zone, _, begin in spells if begin is not None)
    return [{"clock": zone, "begins_at": _moment(begin)} for begin, zone in next_ones[:1]]


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
