"""What list pages need around a query: paging, sorting, filter chips, the scope of an order.

Works on querysets and query strings only; what is counted and shown comes from `queries`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Case, Count, QuerySet, When
from django.http import QueryDict

from fleet import zones as viewers
from fleet.models import Site
from registrations import jobs, queries
from registrations.models import JobResult, Registration, State
from registrations.templatetags.rollcall import mac, state_label, zone_of

Result = JobResult.Result

PAGE_SIZES = (50, 100, 200)


def size_of(params: QueryDict) -> int:
    """How many rows a page has: one of PAGE_SIZES."""
    wanted = params.get("size", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) in PAGE_SIZES else PAGE_SIZES[0]


def page_of(rows: QuerySet[Any], params: QueryDict) -> Page[Any]:
    """One page of `rows`; a page or size that does not exist is the nearest that does."""
    return Paginator(rows, size_of(params)).get_page(params.get("page"))


@dataclass(frozen=True, slots=True)
class Chip:
    """One active filter: what it says, and the query string without it."""

    field: str
    value: str
    without: str


LABELS = {
    "q": "Search",
    "mac": "MAC",
    "since": "Since",
    "until": "Until",
    "registration": "Registration",
}


def chips(params: QueryDict, names: Mapping[str, Mapping[str, str]]) -> list[Chip]:
    """The active filters of a page. `names` gives a word per field and value, where one exists."""
    found = []
    for field in names:
        for value in params.getlist(field):
            if not value:
                continue
            rest = params.copy()
            rest.setlist(field, [other for other in params.getlist(field) if other != value])
            for place in ("page", "before", "after"):
                rest.pop(place, None)
            word = names[field].get(value, value)
            found.append(Chip(LABELS.get(field, field.capitalize()), word, rest.urlencode()))
    return found


def state_names() -> dict[str, str]:
    return {value: str(label) for value, label in State.choices}


def with_offsets(params: QueryDict, zone: str) -> QueryDict:
    """`params` with `since` and `until` as instants: a bare local time is meant in `zone`."""
    made = params.copy()
    for field in ("since", "until"):
        try:
            at = datetime.fromisoformat(params.get(field, ""))
        except ValueError:
            continue
        made[field] = (at if at.tzinfo else at.replace(tzinfo=zone_of(zone))).isoformat()
    return made


def local_input(value: str, zone: str) -> str:
    """An instant as a datetime-local field takes it, in `zone`; '' where there is none."""
    try:
        return datetime.fromisoformat(value).astimezone(zone_of(zone)).strftime("%Y-%m-%dT%H:%M")
    except ValueError:
        return ""


def zones() -> dict[str, str]:
    """The time zone of each site by its name, for rows that carry names only."""
    return dict(Site.objects.values_list("name", "time_zone"))


def common_zone(by_site: Mapping[str, str]) -> str:
    """The zone the viewer chose, else that of the fleet where all sites share one, else UTC."""
    if chosen := viewers.chosen():
        return chosen
    found = set(by_site.values())
    return found.pop() if len(found) == 1 else "UTC"


def matching(query: str, now: datetime) -> QuerySet[Registration]:
    """The registrations of a page's filter, given as its query string; none for a wrong filter."""
    filtered = queries.RegistrationFilter(QueryDict(query), queries.registrations(now))
    rows: QuerySet[Registration] = filtered.qs
    return rows if filtered.is_valid() else rows.none()


def scope_of(params: QueryDict, now: datetime) -> dict[str, Any]:
    """The scope of an order (design: failbacks) from a page's fields.

    `match` is the query string of the handset list: "all that match". A filter by nothing, by one
    group or by one site becomes that scope, so that it says what was meant.
    """
    if "match" in params:
        return _matched_scope(params.get("match", ""), now)
    for field in ("group", "site"):
        if field in params:
            return {field: _id(params.get(field, ""))}
    return {"registrations": [_id(given) for given in params.getlist("registrations")]}


def _id(given: str) -> int:
    """A primary key; 0, which is nobody's, for what no database can hold."""
    return int(given) if given.isdecimal() and len(given) < 19 else 0


def _matched_scope(query: str, now: datetime) -> dict[str, Any]:
    filters = queries.RegistrationFilter.base_filters
    active = [(f, v) for f, vs in QueryDict(query).lists() if f in filters for v in vs if v]
    if not active:
        return {"all": True}
    if len(active) == 1 and active[0][0] in ("group", "site"):
        return {active[0][0]: _id(active[0][1])}
    return {"registrations": list(matching(query, now).order_by("pk").values_list("pk", flat=True))}


def in_scope(scope: Mapping[str, Any], now: datetime) -> QuerySet[Any]:
    rows = queries.registrations(now)
    if "registrations" in scope:
        return rows.filter(pk__in=scope["registrations"])
    return rows if "all" in scope else rows.filter(**scope)


@dataclass(frozen=True, slots=True)
class Preview:
    """Whom an order would touch, as its dialog names it."""

    total: int
    asked: int
    already: int
    left_out: int
    lanes: list[tuple[str, str, int]]
    """(group, state and server, how many) of those asked home."""
    examples: list[str]
    more: int
    """How many of those asked home the examples do not name."""


def preview(scope: Mapping[str, Any], now: datetime) -> Preview:
    """Count whom bringing `scope` home would touch, in two queries."""
    rows: QuerySet[Any] = jobs.judged(in_scope(scope, now))
    fields = ("group__name", "shown_state", "server__name", "server__address", "server__port")
    counted = rows.order_by().values(*fields, "verdict").annotate(n=Count("pk"))
    sums: Counter[str] = Counter()
    lanes: Counter[tuple[str, str]] = Counter()
    for found in counted:
        sums[found["verdict"]] += found["n"]
        if found["verdict"] == Result.PENDING:
            lanes[found["group__name"], _where(found)] += found["n"]
    asked = rows.filter(verdict=Result.PENDING)
    examples = [
        f"{r.line.handset.name or mac(r.line.handset.mac)} ({r.line.extension})"
        for r in asked.order_by("line__handset__name", "pk")[:8]
    ]
    ordered = [(group, where, n) for (group, where), n in sorted(lanes.items())]
    return Preview(
        total=sum(sums.values()),
        asked=sums[Result.PENDING],
        already=sums[Result.ALREADY_THERE],
        left_out=sums[Result.LEFT_OUT],
        lanes=ordered,
        examples=examples,
        more=sums[Result.PENDING] - len(examples),
    )


def _where(found: Mapping[str, Any]) -> str:
    word = state_label(found["shown_state"])
    if not found["server__address"]:
        return word
    place = [str(part) for part in (found["server__address"], found["server__port"]) if part]
    name = found["server__name"] or ":".join(place)
    return f"{word}, {name}"


def scope_fields(params: QueryDict) -> list[tuple[str, str]]:
    """The hidden fields that carry a scope from its dialog to the order."""
    wanted = ("match",) if "match" in params else ("group", "site", "registrations")
    return [(name, value) for name in wanted for value in params.getlist(name)]


def worst_first() -> Case:
    """The order of a job's results: who needs somebody first, who was home already last."""
    results = JobResult.Result
    order = (results.REFUSED, results.FAILED, results.PENDING, results.MOVED)
    return Case(*(When(result=r, then=n) for n, r in enumerate(order)), default=len(order))


def result_counts(job_id: int, kind: str) -> list[tuple[str, str, int]]:
    """How many of a job's handsets came to each result: (result, word, how many)."""
    counted = JobResult.objects.filter(job=job_id).order_by()
    found = dict(counted.values_list("result").annotate(n=Count("pk")))
    return [(r, jobs.result_word(kind, r), found[r]) for r in Result.values if r in found]
