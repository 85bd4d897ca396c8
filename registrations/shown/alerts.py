"""Rules, channels and maintenance in words, and what a rule would have told."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Prefetch

from fleet.models import Server
from registrations.alerts import telling
from registrations.models import AlertRule, Channel, Delivery, Incident, MaintenanceWindow
from registrations.shown.alert_forms import MINUTE, hours_word

MOST_TRIED = 50

DELETABLE: dict[str, Any] = {
    "rule": AlertRule,
    "channel": Channel,
    "maintenance": MaintenanceWindow,
}

Telling = tuple[Incident, str, datetime]


@dataclass(frozen=True, slots=True)
class Tried:
    """What a rule would have told: how often, of how many incidents, and the latest of it."""

    total: int
    incidents: int
    shown: list[tuple[Incident, str, datetime]]


def tried(tellings: Iterable[Telling]) -> Tried:
    found = [(incident, str(Delivery.What(what).label), at) for incident, what, at in tellings]
    found.sort(key=lambda telling: telling[2], reverse=True)
    whom = {incident.pk for incident, _, _ in found}
    return Tried(len(found), len(whom), found[:MOST_TRIED])


def rules() -> list[dict[str, Any]]:
    """Return each rule with its sentence."""
    found = AlertRule.objects.prefetch_related("groups", "sites", "channels").order_by("name")
    return [{"rule": rule, "which": _which(rule), "when": _when(rule)} for rule in found]


def _which(rule: AlertRule) -> str:
    labels = dict(Incident.Kind.choices)
    kinds = ", ".join(str(labels.get(kind, kind)) for kind in rule.kinds) or "All incidents"
    parts = [kinds if rule.severity == Incident.Severity.WARNING else f"{kinds}, critical only"]
    if rule.at_least:
        parts.append(f"from {rule.at_least:,} handsets")
    if rule.percent:
        parts.append(f"from {rule.percent} %")
    for word, things in (("in", rule.groups.all()), ("at", rule.sites.all())):
        if things:
            parts.append(f"{word} {', '.join(map(str, things))}")
    return ", ".join(parts)


def _when(rule: AlertRule) -> str:
    parts = [f"after {rule.after_s // MINUTE} min" if rule.after_s else "at once"]
    if rule.repeat_s:
        parts.append(f"again every {rule.repeat_s // MINUTE} min until acknowledged")
    if rule.begins is not None or len(rule.days) < 7:
        parts.append(f"{hours_word(rule.days, rule.begins, rule.ends)} ({rule.time_zone})")
    if not rule.tells_end:
        parts.append("not when it is over")
    sentence = ", ".join(parts)
    return sentence[:1].upper() + sentence[1:]


def windows(now: datetime) -> list[dict[str, Any]]:
    """Return each maintenance, in words where it repeats, and whether it is on."""
    servers = Prefetch("servers", Server.objects.select_related("group"))
    found = MaintenanceWindow.objects.prefetch_related(servers, "groups", "sites")
    return [
        {
            "window": row,
            "hours": hours_word(row.days, row.begins, row.ends) if row.days else "",
            "is_on": telling.window_of(row).end_at(now.timestamp()) is not None,
        }
        for row in found.order_by("name")
    ]
