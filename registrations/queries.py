"""What is shown: registrations with their derived state, sums, history. Constant query counts.

`unknown` is never stored. `shown(now)` derives it in SQL, and pages, API, filters, summary and the
live socket all read that one expression. Times in rows are ISO 8601 in UTC; times in words are in
the site's zone.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import django_filters
from django.db.models import Case, CharField, Count, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Least

from fleet.models import Server, ServerGroup, Site
from registrations.models import Registration, ServerHealth, State, Transition

GRACE = timedelta(seconds=10)
"""How long past its due time a row is still believed (design: past due or lease end by 10 s)."""

BOUND = (State.PRIMARY, State.SECONDARY, State.FALLBACK)
"""The states in which a server holds a binding."""

CAUSES = {
    "first": "First registration",
    "failover": "Failover",
    "failback": "Failback",
    "forced_failback": "Forced failback",
    "fallback": "Fallback",
    "restored": "Restored",
    "refused": "Refused",
    "lost": "Lost",
    "enabled": "Switched on",
    "disabled": "Switched off",
    "changed": "Configuration changed",
    "gap": "Gap in supervision",
}


def shown(now: datetime) -> dict[str, Combinable]:
    """Return the annotations `shown_state`, `shown_since` and `silent_since` for Registration.

    A row is unknown when its work is overdue by GRACE (`due_at` is the lease's end while an agent
    works on it) or when its binding ran out unnoticed; since then, not since we looked.
    """
    overdue = Q(due_at__lt=now - GRACE) & ~Q(state=State.DISABLED)
    expired = Q(expires_at__lt=now, state__in=BOUND)
    silent = ServerHealth.objects.filter(
        server=OuterRef("server"), site=OuterRef("site"), condition=ServerHealth.Condition.SILENT
    )
    return {
        "shown_state": Case(
            When(overdue | expired, then=Value(State.UNKNOWN.value)),
            default=F("state"),
            output_field=CharField(),
        ),
        "shown_since": Case(
            When(overdue & expired, then=Least("expires_at", "due_at")),
            When(expired, then=F("expires_at")),
            When(overdue, then=F("due_at")),
            default=F("since"),
        ),
        "silent_since": Case(
            When(overdue | expired, then=None),
            When(state__in=BOUND, then=Subquery(silent.values("since")[:1])),
            default=None,
        ),
    }


def registrations(now: datetime) -> QuerySet[Registration]:
    """Return all registrations as shown at `now`, with everything `row` reads, in one query."""
    related = Registration.objects.select_related("line__handset", "group", "site", "server")
    return related.defer("line__auth_password", "snapshot").annotate(**shown(now))


class RegistrationFilter(django_filters.FilterSet):
    """The filter of pages and API over `registrations(now)`."""

    state = django_filters.MultipleChoiceFilter(field_name="shown_state", choices=State.choices)
    group = django_filters.ModelMultipleChoiceFilter(queryset=ServerGroup.objects.all())
    site = django_filters.ModelMultipleChoiceFilter(queryset=Site.objects.all())
    server = django_filters.ModelMultipleChoiceFilter(queryset=Server.objects.all())
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


def plain_mac(text: str) -> str:
    """Return a MAC or a piece of one as stored: twelve lower-case hex digits, no separators."""
    return text.lower().translate(str.maketrans("", "", ":-."))


def moment(at: datetime | None) -> str | None:
    """Return `at` as ISO 8601 in UTC with milliseconds, None as None."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def clock(at: datetime, time_zone: str, now: datetime | None = None) -> str:
    """Return `at` for a sentence: hh:mm in that zone, with the day when that is not today."""
    zone = _zone(time_zone)
    local = at.astimezone(zone)
    today = (now or datetime.now(UTC)).astimezone(zone).date()
    return local.strftime("%H:%M" if local.date() == today else "%-d %b %H:%M")


def role_of(server: Server | None, mode: str) -> str | None:
    """Return what a server is to its group: primary, secondary or fallback; None without one."""
    if server is None:
        return None
    if server.priority == 1:
        return State.PRIMARY.value
    return (State.FALLBACK if mode == ServerGroup.Mode.FALLBACK else State.SECONDARY).value


def state_word(registration: Any) -> str:
    """Return the shown state as words, times in the site's zone; takes a row of `registrations`."""
    zone = registration.site.time_zone
    word = str(State(registration.shown_state).label)
    if registration.shown_state == State.UNKNOWN:
        return f"{word} since {clock(registration.shown_since, zone)}"
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


def no_counts() -> dict[str, int]:
    """Return zero for every key a count by shown state has; silent servers are counted apart."""
    counts = {state.value: 0 for state in State}
    return counts | {f"{state.value}_silent": 0 for state in BOUND}


def _counts(now: datetime) -> list[Any]:
    counted = (
        Registration.objects.annotate(shown_state=shown(now)["shown_state"])
        .values("group_id", "server_id", "site_id", "shown_state")
        .annotate(n=Count("id"))
        .order_by()
    )
    return list(counted)


def server_condition(health: Iterable[ServerHealth], now: datetime) -> dict[str, Any]:
    """Return what all sites together know of one server; old news is `unknown`, not `up`.

    `condition` is silent when any site hears nothing, up when all sites with recent news do.
    """
    seen = [(h, h.condition if h.due_at >= now - GRACE else "unknown") for h in health]
    sites = [
        {
            "site": h.site_id,
            "site_name": h.site.name,
            "condition": condition,
            "since": moment(h.since if condition == h.condition else h.due_at),
            "heard_at": moment(h.heard_at),
            "last_answer": h.last_answer,
        }
        for h, condition in seen
    ]
    silent = [h for h, condition in seen if condition == ServerHealth.Condition.SILENT]
    if silent:
        since = min(h.since for h in silent)
        names = ", ".join(h.site.name for h in silent)
        where = "" if len(silent) == len(seen) else f" from {names}"
        word = f"Silent{where} since {clock(since, silent[0].site.time_zone, now)}"
        return {"condition": "silent", "word": word, "since": moment(since), "sites": sites}
    if seen and all(condition == ServerHealth.Condition.UP for _, condition in seen):
        since = max(h.since for h, _ in seen)
        return {"condition": "up", "word": "Answers", "since": moment(since), "sites": sites}
    return {"condition": "unknown", "word": "Not heard of", "since": None, "sites": sites}


def summary(now: datetime) -> dict[str, Any]:
    """Return the fleet in numbers as shown at `now`: by state, by group, by server. Four queries.

    `states` counts each registration once: a binding on a silent server under `primary_silent`
    (`secondary_silent`, `fallback_silent`), never under `primary`.
    """
    health: dict[int, list[ServerHealth]] = defaultdict(list)
    for known in ServerHealth.objects.select_related("site").order_by("site__name"):
        health[known.server_id].append(known)
    silent_at = {
        (h.server_id, h.site_id)
        for known in health.values()
        for h in known
        if h.condition == ServerHealth.Condition.SILENT
    }
    total = no_counts()
    by_group: dict[int, dict[str, int]] = defaultdict(no_counts)
    by_server: dict[int, dict[str, int]] = defaultdict(no_counts)
    for counted in _counts(now):
        key = counted["shown_state"]
        if key in BOUND and (counted["server_id"], counted["site_id"]) in silent_at:
            key = f"{key}_silent"
        for counts in (total, by_group[counted["group_id"]]):
            counts[key] += counted["n"]
        if counted["server_id"] is not None:
            by_server[counted["server_id"]][key] += counted["n"]
    groups = ServerGroup.objects.prefetch_related("servers")
    result = {
        "as_of": moment(now),
        "total": sum(total.values()),
        "states": total,
        "groups": [_group(g, by_group[g.pk], by_server, health, now) for g in groups],
    }
    return result | {"headline": headline(result)}


def _group(
    group: ServerGroup,
    counts: dict[str, int],
    by_server: Mapping[int, dict[str, int]],
    health: Mapping[int, list[ServerHealth]],
    now: datetime,
) -> dict[str, Any]:
    servers = []
    for server in group.servers.all():
        here = by_server.get(server.pk) or no_counts()
        servers.append(
            {
                "id": server.pk,
                "name": str(server),
                "address": server.address,
                "port": server.port,
                "priority": server.priority,
                "role": role_of(server, group.mode),
                "held": sum(here[s] + here[f"{s}_silent"] for s in BOUND),
                "states": here,
                **server_condition(health.get(server.pk, ()), now),
            }
        )
    return {
        "id": group.pk,
        "name": group.name,
        "mode": group.mode,
        "total": sum(counts.values()),
        "states": counts,
        "servers": servers,
    }


def headline(summary: Mapping[str, Any]) -> str:
    """Return the fleet in one sentence, the worst news first after what is well."""
    counts = summary["states"]
    supervised = summary["total"] - counts[State.DISABLED]
    if not summary["total"]:
        return "No handsets yet."
    if not supervised:
        return f"No registration is supervised; {counts[State.DISABLED]} switched off."
    parts = []
    for key, words in (
        ("primary_silent", "on a primary that is silent"),
        ("secondary", "on secondary"),
        ("secondary_silent", "on a secondary that is silent"),
        ("fallback", "on fallback"),
        ("fallback_silent", "on a fallback server that is silent"),
        ("registering", "registering"),
        ("unregistered", "unregistered"),
        ("rejected", "rejected"),
        ("held", "held back"),
        ("unknown", "unknown"),
    ):
        if counts[key]:
            parts.append(f"{counts[key]} {words}")
    if not parts:
        return f"All {supervised} on primary." if supervised > 1 else "The one is on primary."
    return f"{counts[State.PRIMARY]} of {supervised} on primary, {', '.join(parts)}."


def transitions() -> QuerySet[Transition]:
    """Return the whole history, newest first; `transition_row` needs no further query."""
    return Transition.objects.order_by("-at", "-id")


class TransitionFilter(django_filters.FilterSet):
    """The filter of history page, API and export over `transitions()`; by names, as copied."""

    since = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    until = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")
    group = django_filters.CharFilter(field_name="group_name")
    site = django_filters.CharFilter(field_name="site_name")
    mac = django_filters.CharFilter(method="by_mac", label="MAC")
    registration = django_filters.NumberFilter(field_name="registration_id")
    state = django_filters.MultipleChoiceFilter(field_name="to_state", choices=State.choices)
    cause = django_filters.MultipleChoiceFilter(choices=tuple(CAUSES.items()))
    q = django_filters.CharFilter(method="by_text", label="Search")

    class Meta:
        model = Transition
        fields: list[str] = []

    def by_mac(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        return rows.filter(mac=plain_mac(value))

    def by_text(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Keep rows in which every word is found in name, extension, MAC, server or reason."""
        for word in value.split():
            found = Q()
            for name in ("handset_name", "extension", "from_server", "to_server", "reason"):
                found |= Q(**{f"{name}__icontains": word})
            if mac := plain_mac(word):
                found |= Q(mac__icontains=mac)
            rows = rows.filter(found)
        return rows


def transition_row(transition: Transition) -> dict[str, Any]:
    """Return one change as API, export and socket send it."""
    return {
        "id": transition.pk,
        "registration": transition.registration_id,
        "at": moment(transition.at),
        "mac": transition.mac,
        "extension": transition.extension,
        "name": transition.handset_name,
        "group": transition.group_name,
        "site": transition.site_name,
        "from": {"state": transition.from_state, "server": transition.from_server},
        "to": {"state": transition.to_state, "server": transition.to_server},
        "cause": transition.cause,
        "cause_word": CAUSES.get(transition.cause, transition.cause),
        "code": transition.code,
        "reason": transition.reason,
        "seconds": transition.seconds,
        "asked_by": transition.asked_by,
    }
