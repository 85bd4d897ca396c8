"""Drains and no-failback hours as pages show them."""

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from registrations import jobs, queries
from registrations.jobs.drain_rows import left_on, sentence
from registrations.models import Drain, QuietHours

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
    now = timezone.now()
    left = 0 if drain.finished_at else left_on(drain)
    return {
        "row": jobs.drain_row(drain),
        "sentence": sentence(drain, left, zone, now),
        "may_end": drain.finished_at is None and drain.ends_at > now,
    }


def hours(zone: str) -> list[dict[str, Any]]:
    """Return all no-failback hours as the page of jobs shows them; `zone` for those of no site."""
    now = timezone.now()
    shown = []
    for each in QuietHours.objects.select_related("group", "site"):
        clock = each.site.time_zone if each.site else zone
        end, begin = jobs.standing(each, now, clock)
        shown.append(
            {
                "pk": each.pk,
                "place": jobs.place_word(each),
                "word": jobs.hours_word(each),
                "zone": each.site.time_zone if each.site else "by the clock of each site",
                "clock": clock,
                "ends_at": _moment(end),
                "begins_at": _moment(begin),
            }
        )
    return shown


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
