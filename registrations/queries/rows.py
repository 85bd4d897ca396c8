"""Registrations as shown: the derived state, its filter, its words, its row."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import django_filters
from django.db.models import Case, CharField, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Least

from fleet.filters import IdsFilter
from fleet.models import Server, ServerGroup, Site
from registrations.models import Registration, ServerHealth, State
from registrations.queries.words import clock, moment, plain_mac

GRACE = timedelta(seconds=10)
"""How long past its due time a row is still believed (design: past due or lease end by 10 s)."""

BOUND = (State.PRIMARY, State.SECONDARY, State.FALLBACK)
"""The states in which a server holds a binding."""


def shown(now: datetime) -> dict[str, Combinable]:
    """Return the annotations `shown_state`, `shown_since` and `silent_since` for Registration.

    A row is unknown when its work is overdue by GRACE (`due_at` is the lease's end while an agent
    works on it) or when its binding ran out unnoticed; since then, not since we looked. So is
    every row of a site whose own network is suspected.
    """
    suspected = Q(site__network__suspected_since__isnull=False) & ~Q(state=State.DISABLED)
    overdue = Q(due_at__lt=now - GRACE) & ~Q(state=State.DISABLED)
    expired = Q(expires_at__lt=now, state__in=BOUND)
    silent = ServerHealth.objects.filter(
        server=OuterRef("server"), site=OuterRef("site"), condition=ServerHealth.Condition.SILENT
    )
    return {
        "shown_state": Case(
            When(suspected | overdue | expired, then=Value(State.UNKNOWN.value)),
            default=F("state"),
            output_field=CharField(),
        ),
        "shown_since": Case(
            When(suspected, then=F("site__network__suspected_since")),
            When(overdue & expired, then=Least("expires_at", "due_at")),
            When(expired, then=F("expires_at")),
            When(overdue, then=F("due_at")),
            default=F("since"),
        ),
        "silent_since": Case(
            When(suspected | overdue | expired, then=None),
            When(state__in=BOUND, then=Subquery(silent.values("since")[:1])),
            default=None,
        ),
    }


def registrations(now: datetime) -> QuerySet[Registration]:
    """Return all registrations as shown at `now`, with everything `row` reads, in one query."""
    related = Registration.objects.select_related(
        "line__handset", "group", "site", "server", "assumed_on"
    )
    return related.defer("line__auth_password", "snapshot").annotate(**shown(now))


def with_memory(rows: QuerySet[Registration]) -> QuerySet[Registration]:
    """Return rows of `registrations` with what their agents keep, which explains them."""
    return rows.defer(None).defer("line__auth_password")


class RegistrationFilter(django_filters.FilterSet):
    """The filter of pages and API over `registrations(now)`."""

    state = django_filters.MultipleChoiceFilter(field_name="shown_state", choices=State.choices)
    group = IdsFilter(queryset=ServerGroup.objects.all())
    site = IdsFilter(queryset=Site.objects.all())
    server = IdsFilter(queryset=Server.objects.all())
    silent = django_filters.BooleanFilter(method="by_silence", label="Server silent")
    q = django_filters.CharFilter(method="by_text", label="Search")

    class Meta:
        model = Registration
        fields: list[str] = []

    def by_silence(self, rows: QuerySet[Any], _name: str, value: bool) -> QuerySet[Any]:
        return rows.filter(silent_since__isnull=not value)

    def by_text(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Keep rows in which every word is found in name, extension, MAC or server."""
        for word in value.split():
            found = (
                Q(line__handset__name__icontains=word)
                | Q(line__extension__icontains=word)
                | Q(server__address__icontains=word)
                | Q(server__name__icontains=word)
            )
            if mac := plain_mac(word):
                found |= Q(line__handset__mac__icontains=mac)
            rows = rows.filter(found)
        return rows


def role_of(server: Server | None, mode: str) -> str | None:
    """Return what a server is to its group: primary, secondary or fallback; None without one."""
    if server is None:
        return None
    if server.priority == 1:
        return State.PRIMARY.value
    return (State.FALLBACK if mode == ServerGroup.Mode.FALLBACK else State.SECONDARY).value


def assumed_word(registration: Any) -> str:
    """Return where its calls go without a registration there; '' where they do not."""
    server = registration.assumed_on
    if server is None or registration.shown_state not in BOUND:
        return ""
    role = "primary" if server.priority == 1 else "secondary"
    return f"Assumed on {role} {server} (shared registration, not confirmed)"


def state_word(registration: Any) -> str:
    """Return the shown state as words, times in the site's zone; takes a row of `registrations`."""
    zone = registration.site.time_zone
    word = str(State(registration.shown_state).label)
    if registration.shown_state == State.UNKNOWN:
        return f"{word} since {clock(registration.shown_since, zone)}"
    if assumed := assumed_word(registration):
        ends = registration.expires_at
        until = f" until {clock(ends, zone)}" if ends is not None else ""
        return f"{assumed}; registered with {registration.server}{until}"
    lost = registration.server.lost_features if registration.server else []
    if registration.shown_state == State.FALLBACK and lost:
        word += f" (reduced features: {', '.join(map(str, lost))})"
    if registration.silent_since is not None:
        word += f", server silent since {clock(registration.silent_since, zone)}"
        if registration.expires_at is not None:
            word += f", binding ends {clock(registration.expires_at, zone)}"
    return word


def row(registration: Any) -> dict[str, Any]:
    """Return one registration of `registrations(now)` as the API and the socket send it."""
    line, server = registration.line, registration.server
    return {
        "id": registration.pk,
        "handset": line.handset_id,
        "line": registration.line_id,
        "mac": line.handset.mac,
        "extension": line.extension,
        "name": line.handset.name,
        "group": registration.group_id,
        "group_name": registration.group.name,
        "site": registration.site_id,
        "site_name": registration.site.name,
        "state": registration.shown_state,
        "state_word": state_word(registration),
        "role": role_of(server, registration.group.mode),
        "server": None
        if server is None
        else {"id": server.pk, "address": server.address, "port": server.port},
        "server_name": "" if server is None else str(server),
        "assumed_on": None
        if registration.assumed_on is None
        else {
            "id": registration.assumed_on.pk,
            "address": registration.assumed_on.address,
            "port": registration.assumed_on.port,
        },
        "assumed_word": assumed_word(registration),
        "silent": registration.silent_since is not None,
        "server_silent_since": moment(registration.silent_since),
        "since": moment(registration.shown_since),
        "expires_at": moment(registration.expires_at),
        "next_attempt_at": moment(registration.next_attempt_at),
        "reason": registration.reason,
        "last_answer": registration.last_answer,
        "heard_at": moment(registration.heard_at),
    }


def rows(ids: Iterable[int], now: datetime) -> list[dict[str, Any]]:
    """Return the rows of these ids in one query, by id; ids that are gone are left out."""
    return [row(r) for r in registrations(now).filter(pk__in=list(ids)).order_by("pk")]
