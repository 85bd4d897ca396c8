"""The words of a message about an incident, with times in the zone of its sites."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from fleet.models import Site
from registrations import queries
from registrations.incidents.message import Message, compose, written
from registrations.incidents.words import lasting
from registrations.models import Channel, Incident
from registrations.queries.extent import Extent


def about(what: str, incident: Incident, now: datetime) -> Message:
    """Return what is said when it began, is still on, or is over."""
    zone = _zone(incident)
    lines = [("What happened", incident.happened)]
    over_at, lasted = incident.over_at, lasting(incident.lasted_s or 0)
    if over_at is not None:
        lines += [
            ("Began", queries.clock(incident.opened_at, zone, now)),
            ("Over", f"{queries.clock(over_at, zone, now)}, after {lasted}"),
        ]
    else:
        lines += [
            ("Since", queries.clock(incident.opened_at, zone, now)),
            ("What to do", incident.remedy),
        ]
    if incident.most_handsets:
        lines.append(
            ("Handsets", f"{incident.most_handsets:,} of {incident.of_handsets:,} at most")
        )
    lines.append(("Where", ", ".join([*incident.groups, *incident.sites])))
    return compose(what, incident.severity, incident.title, lines, data(incident), lasted)


def _zone(incident: Incident) -> str:
    ids = Site.objects.filter(name__in=incident.sites).values_list("pk", flat=True)
    return queries.fleet_zone(Extent(sites=frozenset(ids)))


def data(incident: Incident) -> dict[str, Any]:
    """Return it for machines; `thread` is the same in all messages about it."""
    return {
        "thread": f"rollcall-incident-{incident.pk}",
        "url": address(incident),
        "incident": {
            "id": incident.pk,
            "kind": incident.kind,
            "severity": incident.severity,
            "state": incident.state.value,
            "title": incident.title,
            "happened": incident.happened,
            "remedy": incident.remedy,
            "server": incident.server_name,
            "groups": incident.groups,
            "sites": incident.sites,
            "handsets": incident.handsets,
            "most_handsets": incident.most_handsets,
            "of_handsets": incident.of_handsets,
            "opened_at": queries.moment(incident.opened_at),
            "detected_at": queries.moment(incident.detected_at),
            "resolved_at": queries.moment(incident.resolved_at),
        },
    }


def address(incident: Incident) -> str:
    """Return where its page is, '' where the product's own address is not known."""
    if not settings.PUBLIC_URL:
        return ""
    return f"{settings.PUBLIC_URL}{reverse('incident', args=[incident.pk])}"


def test_message(channel: Channel, by: str) -> Message:
    """Return what the test button sends."""
    said = f"This is a test of the channel {channel.name}, asked for by {by}. Nothing happened."
    lines = [("", said)]
    return written(f"Test of {channel.name}", lines, settings.PUBLIC_URL, {"event": "test"})
