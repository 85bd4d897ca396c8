"""The filter of registrations, as pages and API take it, in conditions a database can plan for.

A condition on an annotation would be worked out for every row, whatever the database knows of its
columns. So each is said anew on the columns, from the same pieces (`rows.is_unknown`).
"""

import json
from collections import defaultdict
from datetime import datetime

import django_filters
from django.db.models import Q
from django.http import QueryDict

from fleet.filters import Filters, IdsFilter, TextsFilter, WordsFilter
from fleet.models import Line, Server, ServerGroup, Site
from registrations.models import Registration, ServerHealth, State
from registrations.queries.rows import BOUND, Shown, is_unknown, plain
from registrations.queries.words import mac_piece


class RegistrationFilter(Filters):
    """Over `registrations(now)`. Values of one field are alternatives, fields add up."""

    state = WordsFilter(choices=State.choices, method="by_state")
    group = IdsFilter(queryset=ServerGroup.objects.all())
    site = IdsFilter(queryset=Site.objects.all())
    server = IdsFilter(queryset=Server.objects.all())
    silent = django_filters.BooleanFilter(method="by_silence", label="Server silent")
    stuck = django_filters.BooleanFilter(method="by_stuckness", label="Agent stuck")
    tag = TextsFilter(method="by_tag", label="Tag of the handset")
    model = TextsFilter(method="by_model", label="Model of the handset")
    supervision = WordsFilter(
        choices=Line.Supervision.choices, field_name="line__supervision", label="Supervision"
    )
    q = django_filters.CharFilter(method="by_text", label="Search")

    class Meta:
        model = Registration
        fields: list[str] = []

    def by_state(self, rows: Shown, _name: str, values: list[str]) -> Shown:
        unknown = is_unknown(rows.now)
        found = Q(state__in=[value for value in values if value != State.UNKNOWN]) & ~unknown
        return rows.filter(found | unknown if State.UNKNOWN in values else found)

    def by_silence(self, rows: Shown, _name: str, value: bool) -> Shown:
        silent = _is_silent(rows.now)
        return rows.filter(silent) if value else rows.exclude(silent)

    def by_stuckness(self, rows: Shown, _name: str, value: bool) -> Shown:
        return rows.filter(stuck_since__isnull=not value)

    def by_tag(self, rows: Shown, _name: str, values: list[str]) -> Shown:
        found = Q()
        for value in values:
            found |= Q(line__handset__tags__holds=value)
        return rows.filter(found)

    def by_model(self, rows: Shown, _name: str, values: list[str]) -> Shown:
        return rows.filter(line__handset__model__in=values)

    def by_text(self, rows: Shown, _name: str, value: str) -> Shown:
        """Keep rows in which every word is found.

        Looked through are name, extension, address of record, MAC in any spelling, model, tags,
        and the server's name and address.
        """
        servers = list(Server.objects.all())
        lines = Line.objects.order_by()
        for word in value.lower().split():
            named = [s.pk for s in servers if word in f"{s.name} {s.place}".lower()]
            if named:
                here = Line.objects.filter(_has(word)).values("pk")
                rows = rows.filter(Q(line__in=here) | Q(server__in=named))
            else:
                lines = lines.filter(_has(word))
        return rows.filter(line__in=lines.values("pk")) if lines.query.where else rows


def matching(query: str, now: datetime) -> Shown:
    """Return the rows of a filter given as a query string; none for a wrong one."""
    filtered = RegistrationFilter(QueryDict(query), plain(now))
    rows: Shown = filtered.qs if filtered.is_valid() else plain(now).none()
    return rows


def _is_silent(now: datetime) -> Q:
    """The rows whose binding stands on a server that is silent from their site."""
    sites: dict[int, list[int]] = defaultdict(list)
    health = ServerHealth.objects.filter(condition=ServerHealth.Condition.SILENT)
    for server, site in health.order_by("site").values_list("server_id", "site_id"):
        sites[server].append(site)
    servers: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for server, silent_at in sites.items():
        servers[tuple(silent_at)].append(server)
    places = Q(pk__in=[])
    for silent_at, there in servers.items():
        places |= Q(server__in=there, site__in=silent_at)
    return Q(state__in=BOUND) & places & ~is_unknown(now)


def _has(word: str) -> Q:
    """The lines that have this word, or whose handset has it."""
    # SQLite keeps the letters of a tag as JSON escapes them, PostgreSQL as they are.
    spellings = {word, mac_piece(word), json.dumps(word)[1:-1]}
    found = Q(search_text__contains=word)
    for spelling in spellings:
        found |= Q(handset__search_text__contains=spelling)
    return found
