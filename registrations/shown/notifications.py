"""What handsets report of themselves, in sentences, and the files that make them report."""

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from fleet.formats.configuration.writing import notifications_cfg
from fleet.formats.notifications import Kind
from fleet.models import Handset, Line
from registrations import queries
from registrations.models import NotificationAddress

SAID = {
    Kind.REGISTERED: "{line} registered; with which server it does not say.",
    Kind.UNREGISTERED: "{line} unregistered in order: it is switched off or restarts.",
    Kind.NETWORK_UP: "Its network is up.",
    Kind.STARTED: "It has started.",
}
ALSO_OURS = "Rollcall’s agent registers this line too: two hold one address of record."
"""A handset that registers a line which is only to be the agent's."""

Absolute = Callable[[str], str]
"""From a path of ours to an address that others reach."""


def url(address: NotificationAddress, absolute: Absolute) -> str:
    """Return where the handset reports."""
    return absolute(reverse("notify", args=[address.key]))


def told(
    address: NotificationAddress, registered_by_us: Iterable[int] = ()
) -> list[dict[str, Any]]:
    """Return what the handset reported, the latest first; `registered_by_us`: numbers of lines."""
    ours = set(registered_by_us)
    return [_told(event, ours) for event in address.events]


def _told(event: Mapping[str, Any], ours: set[int]) -> dict[str, Any]:
    kind, line = Kind(event["kind"]), event["line"]
    said = SAID[kind].format(line=f"Line {line}" if line else "A line")
    if kind is Kind.REGISTERED and line in ours:
        said = f"{said} {ALSO_OURS}"
    at, told_at = datetime.fromisoformat(event["at"]), event["told_at"]
    by_its_clock = datetime.fromisoformat(told_at) if told_at else None
    return {**event, "sentence": said, "at": at, "told_at": by_its_clock}


def of_handset(handset: Handset) -> dict[str, Any]:
    """Return what its page shows: the address, None where it has none, and its reports."""
    address = NotificationAddress.objects.filter(handset=handset).first()
    if address is None:
        return {"address": None, "events": [], "agent": ""}
    ours = handset.lines.filter(supervision=Line.Supervision.REGISTER)
    numbers = ours.values_list("number", flat=True) if address.events else ()
    return {"address": address, "events": told(address, numbers), "agent": agent(address)}


def agent(address: NotificationAddress) -> str:
    """Return what the handset called itself when it last said so; '' where it never did."""
    return next((event["agent"] for event in address.events if event.get("agent")), "")


def addresses(**part: Any) -> QuerySet[NotificationAddress]:
    """Return those of that part of the fleet, by the handset's name, with all `row` reads."""
    found = NotificationAddress.objects.filter(**part).select_related("handset__group")
    return found.defer("handset__search_text").order_by("handset__name", "handset__mac")


def row(address: NotificationAddress, absolute: Absolute) -> dict[str, Any]:
    """Return one as the API sends it."""
    return {
        "id": address.pk,
        "handset": address.handset_id,
        "mac": address.handset.mac,
        "name": address.handset.name,
        "group": address.handset.group_id,
        "url": url(address, absolute),
        "made_at": queries.moment(address.made_at),
        "made_by": address.made_by,
        "heard_at": queries.moment(address.heard_at),
        "agent": agent(address),
        "events": address.events,
    }


def files(found: Iterable[NotificationAddress], absolute: Absolute) -> bytes:
    """Return a zip with a file for each handset, named as the guide names those of one handset."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for address in found:
            name = f"notify-{address.handset.mac}.cfg"
            made.writestr(name, notifications_cfg(url(address, absolute)))
    return packed.getvalue()
