"""What list pages need around a query: paging, sorting, filter chips, the scope of an order.

Works on querysets and query strings only; what is counted and shown comes from `queries`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import Case, QuerySet, When
from django.http import QueryDict

from fleet import zones as viewers
from fleet.models import Site
from registrations import jobs, queries
from registrations.models import JobResult, State
from registrations.templatetags.rollcall import zone_of

Result = JobResult.Result

PAGE_SIZES = (50, 100, 200)

EXPORT_FORMATS = {"csv": "CSV", "xlsx": "Excel (XLSX)", "jsonl": "JSON Lines"}


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
    "silent": "Server",
    "stuck": "Agent",
    "mac": "MAC",
    "since": "Since",
    "until": "Until",
    "registration": "Registration",
    "from_server": "From",
    "to_server": "To",
}


def label(field: str) -> str:
    """What a filter is called."""
    return LABELS.get(field, field.capitalize())


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
            found.append(Chip(label(field), word, rest.urlencode()))
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


def scope_of(params: QueryDict) -> dict[str, Any]:
    """The scope of an order (design: failbacks) from a page's fields.

    `match` is the query string of the handset list: "all that match". A filter by nothing, by one
    group or by one site becomes that scope, so that it says what was meant.
    """
    if "match" in params:
        return _matched_scope(params.get("match", ""))
    for field in ("group", "site"):
        if field in params:
            return {field: id_of(params.get(field, ""))}
    return {"registrations": [id_of(given) for given in params.getlist("registrations")]}


def id_of(given: str) -> int:
    """A primary key; 0, which is nobody's, for what no database can hold."""
    return int(given) if given.isdecimal() and len(given) < 19 else 0


def _matched_scope(query: str) -> dict[str, Any]:
    filters = queries.RegistrationFilter.base_filters
    active = [(f, v) for f, vs in QueryDict(query).lists() if f in filters for v in vs if v]
    if not active:
        return {"all": True}
    if len(active) == 1 and active[0][0] in ("group", "site"):
        return {active[0][0]: id_of(active[0][1])}
    return {"filter": urlencode(active)}


def terms_of(params: QueryDict) -> jobs.Terms:
    """How careful an order is, from a page's fields. Raises OrderRefused."""
    given = {name: params.get(name, "").strip() for name in jobs.TERMS}
    terms = {name: int(text) if text.isdecimal() else text for name, text in given.items() if text}
    made = jobs.Terms(**terms)  # type: ignore[arg-type]
    made.check()
    return made


def scope_fields(params: QueryDict) -> list[tuple[str, str]]:
    """The hidden fields that carry a scope from its dialog to the order."""
    wanted = ("match",) if "match" in params else ("group", "site", "registrations")
    return [(name, value) for name in wanted for value in params.getlist(name)]


AWAY = (State.SECONDARY, State.FALLBACK, State.REGISTERING, State.HELD)


def groups_worst_first(groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Groups of a summary in the order in which somebody should look at them.

    First where handsets have no server or nobody knows (queries.UNSERVED) or agents are stuck, then
    where a server is silent or refuses, then where handsets are not home, then those that are
    well; among equals the one with more such handsets first, then by name. The order is made when
    a page is, and stays while it is live: nothing moves under the cursor.
    """

    def trouble(group: dict[str, Any]) -> tuple[int, int, str]:
        states = group["states"]
        lost = sum(states[state] for state in queries.UNSERVED) + group["stuck"]
        failing = [s for s in group["servers"] if s["condition"] == "silent" or s["sick_since"]]
        on_silent = sum(n for state, n in states.items() if state.endswith("_silent"))
        away = sum(states[state] for state in AWAY)
        if lost:
            return 0, -lost, group["name"]
        if failing or on_silent:
            return 1, -(on_silent + away), group["name"]
        return (2, -away, group["name"]) if away else (3, 0, group["name"])

    return sorted(groups, key=trouble)


def moved(params: QueryDict, total: int) -> str:
    """Say that other handsets match than when all that match were chosen; '' where as many do."""
    then = params.get("expected", "")
    if "match" not in params or not then.isdecimal() or then == str(total):
        return ""
    return f"{then} matched when you chose; {total} match now. Those are meant."


def worst_first() -> Case:
    """The order of a job's results: who needs somebody first, who was home already last."""
    results = JobResult.Result
    order = (results.REFUSED, results.FAILED, results.PENDING, results.MOVED)
    return Case(*(When(result=r, then=n) for n, r in enumerate(order)), default=len(order))


def result_counts(
    kind: str, by_wave: Mapping[int | None, Mapping[str, int]]
) -> list[tuple[str, str, int]]:
    """How many of a job's handsets came to each result: (result, word, how many)."""
    found: Counter[str] = Counter()
    for results in by_wave.values():
        found.update(results)
    return [(r, jobs.result_word(kind, r), found[r]) for r in Result.values if r in found]
