"""Incidents and messages as shown: their filters, their rows, and what is open now."""

from typing import Any

import django_filters
from django.db.models import F, Q, QuerySet

from fleet import reach
from fleet.filters import Filters, IdFilter, IdsFilter, MomentFilter, WordsFilter
from fleet.models import Server, ServerGroup, Site
from registrations.incidents.limits import LIMITS, Limit
from registrations.models import Channel, Delivery, Incident, IncidentLimit
from registrations.queries.extent import EVERYTHING, Extent
from registrations.queries.words import moment

State, Kind = Incident.State, Incident.Kind

MOST_OPEN = 200
"""Looked at to count those that are open; more are told as so many."""

FIRST = 5
"""Named in the summary; the page has all."""

STATES = {
    State.OPEN.value: Q(resolved_at=None, acknowledged_at=None),
    State.ACKNOWLEDGED.value: Q(resolved_at=None, acknowledged_at__isnull=False),
    State.RESOLVED.value: Q(resolved_at__isnull=False),
}


def incidents() -> QuerySet[Incident]:
    """Return all incidents: those that are on first, then the latest."""
    order = (F("resolved_at").desc(nulls_first=True), "-detected_at", "-id")
    return Incident.objects.select_related("folded_into").order_by(*order)


class IncidentFilter(Filters):
    """The filter of page, API and export. Groups and sites by name, as copied."""

    state = django_filters.MultipleChoiceFilter(
        choices=State.choices, method="by_state", label="State"
    )
    kind = WordsFilter(choices=Incident.Kind.choices)
    severity = WordsFilter(choices=Incident.Severity.choices)
    group = django_filters.CharFilter(method="by_name", label="Group")
    site = django_filters.CharFilter(method="by_name", label="Site")
    server = IdsFilter(queryset=Server.objects.all())
    since = MomentFilter(field_name="detected_at", lookup_expr="gte")
    until = MomentFilter(field_name="detected_at", lookup_expr="lt")
    folded_into = IdFilter(field_name="folded_into_id")
    q = django_filters.CharFilter(method="by_text", label="Search")

    class Meta:
        model = Incident
        fields: list[str] = []

    def by_state(self, rows: QuerySet[Any], _name: str, values: list[str]) -> QuerySet[Any]:
        wanted = Q(pk__in=[])
        for value in values:
            wanted |= STATES[value]
        return rows.filter(wanted) if values else rows

    def by_name(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows.filter(**{f"{name}s__holds": value})

    def by_text(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        for word in value.split():
            said = Q(title__icontains=word) | Q(happened__icontains=word)
            rows = rows.filter(said | Q(comment__icontains=word))
        return rows


def incident_row(incident: Incident) -> dict[str, Any]:
    """Return one incident as API and export send it."""
    return {
        "id": incident.pk,
        "kind": incident.kind,
        "severity": incident.severity,
        "state": incident.state.value,
        "title": incident.title,
        "happened": incident.happened,
        "remedy": incident.remedy,
        "server": incident.server_id,
        "server_name": incident.server_name,
        "registration": incident.registration_id,
        "groups": incident.groups,
        "sites": incident.sites,
        "handsets": incident.handsets,
        "most_handsets": incident.most_handsets,
        "of_handsets": incident.of_handsets,
        "opened_at": moment(incident.opened_at),
        "detected_at": moment(incident.detected_at),
        "good_since": moment(incident.good_since),
        "resolved_at": moment(incident.resolved_at),
        "acknowledged_at": moment(incident.acknowledged_at),
        "acknowledged_by": incident.acknowledged_by,
        "comment": incident.comment,
        "relapses": incident.relapses,
        "expected": incident.expected,
        "folded_into": incident.folded_into_id,
    }


def open_incidents(extent: Extent = EVERYTHING) -> dict[str, Any]:
    """Return what is on now and follows from nothing else: how many, and the gravest first.

    `incidents_new` counts those nobody has acknowledged. One query; two more with an extent.
    """
    found = Incident.objects.filter(resolved_at=None, folded_into=None)
    order = ("severity", F("acknowledged_at").asc(nulls_first=True), "-detected_at", "-id")
    names = _names(extent)
    touched = [each for each in found.order_by(*order)[:MOST_OPEN] if _is_within(each, names)]
    if reach.sites() is not None:
        touched = _within_reach(touched)
    shown = ("id", "kind", "severity", "state", "title", "happened", "opened_at", "expected")
    rows = [incident_row(incident) for incident in touched[:FIRST]]
    return {
        "incidents_open": len(touched),
        "incidents_new": sum(incident.acknowledged_at is None for incident in touched),
        "incidents": [{name: row[name] for name in shown} for row in rows],
    }


def _names(extent: Extent) -> tuple[frozenset[str], frozenset[str]]:
    groups, sites = ServerGroup.objects.none(), Site.objects.none()
    if extent.groups:
        groups = ServerGroup.objects.filter(pk__in=extent.groups)
    if extent.sites:
        sites = Site.objects.filter(pk__in=extent.sites)
    return (
        frozenset(groups.values_list("name", flat=True)),
        frozenset(sites.values_list("name", flat=True)),
    )


def _is_within(incident: Incident, names: tuple[frozenset[str], frozenset[str]]) -> bool:
    return all(
        not wanted or not touched or not wanted.isdisjoint(touched)
        for wanted, touched in zip(names, (incident.groups, incident.sites), strict=True)
    )


OF_A_SITE = frozenset((Kind.SITE_NETWORK, Kind.CREDENTIALS, Kind.HANDSET, Kind.FLAPPING))
"""Kinds whose words are of their sites alone. Others name every group of a server, and count all
its handsets, though only one site may hear nothing of it."""


def _within_reach(found: list[Incident]) -> list[Incident]:
    """Those that touch the sites of who is limited to some, without what is said of others."""
    sites = frozenset(Site.objects.values_list("name", flat=True))
    groups = frozenset(ServerGroup.objects.values_list("name", flat=True))
    servers = frozenset(Server.objects.values_list("pk", flat=True))
    touching = [incident for incident in found if _is_within(incident, (groups, sites))]
    for incident in touching:
        if incident.kind not in OF_A_SITE or not sites >= set(incident.sites) > set():
            named = f": {incident.server_name}" if incident.server_id in servers else ""
            incident.title = f"{incident.get_kind_display()}{named}"
            incident.happened = "It may hit handsets of other sites too: see your own."
            incident.expected = ""
    return touching


def incident_limits() -> dict[str, Limit]:
    """Return what holds for each kind of incident."""
    rows = IncidentLimit.objects.filter(kind__in=LIMITS)
    return {**LIMITS, **{row.kind: row.limit for row in rows}}


class DeliveryFilter(Filters):
    """The filter of the log of messages."""

    state = WordsFilter(choices=Delivery.State.choices)
    what = WordsFilter(choices=Delivery.What.choices)
    channel = IdsFilter(queryset=Channel.objects.all())
    incident = IdFilter(field_name="incident_id")
    rule = IdFilter(field_name="rule_id")
    since = MomentFilter(field_name="created_at", lookup_expr="gte")
    until = MomentFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Delivery
        fields: list[str] = []


def deliveries() -> QuerySet[Delivery]:
    """Return the log of messages, the latest first."""
    return Delivery.objects.select_related("incident").order_by("-created_at", "-id")
