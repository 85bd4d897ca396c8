"""Whom an order is about: a list, a filter of the handset list, a group, a site, or all.

Rollcall's own orders have scopes too: the server that is drained, who was drained from it, and
whom an earlier job moved.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.http import QueryDict

from fleet import reach
from fleet.filters import LARGEST_ID, no_such
from fleet.models import Server, ServerGroup, Site
from registrations import queries
from registrations.models import JobResult, Registration

MAX_LISTED = 10_000
"""How many registrations a scope may list by id; more is a filter, a group, a site or all."""

Result = JobResult.Result


class ScopeError(ValueError):
    """The scope names nothing that can be moved; `field` says which part is wrong."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.sentence = sentence


def in_scope(scope: Mapping[str, Any], now: datetime) -> QuerySet[Any]:
    """Return the registrations of a scope, as `queries.registrations` shows them at `now`.

    Raises ScopeError.
    """
    if len(scope) != 1 or not _REACH.keys() >= scope.keys():
        raise ScopeError(
            "scope",
            "Give exactly one of registrations (a list of ids), filter, group, site, or all.",
        )
    ((kind, value),) = scope.items()
    return _REACH[kind](queries.registrations(now), value)


def within_reach(scope: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a scope that was found right as one that names the sites of who asks, if limited.

    What is written down of an order is read by workers, who are not.
    """
    ids = reach.sites()
    if ids is None or "site" in scope or "registrations" in scope:
        return scope
    asked = QueryDict(scope.get("filter", ""), mutable=True)
    if "group" in scope:
        asked["group"] = str(scope["group"])
    if not any(asked.getlist("site")):
        asked.setlist("site", [str(pk) for pk in sorted(ids)])
    if asked.keys() == {"site"} and len(ids) == 1:
        return {"site": min(ids)}
    return {"filter": asked.urlencode()}


def _of_list(rows: QuerySet[Any], value: Any) -> QuerySet[Any]:
    field = "registrations"
    if not isinstance(value, list) or not value or not all(map(_is_id, value)):
        raise ScopeError(field, "Give a list of registration ids.")
    ids = set(value)
    if len(ids) > MAX_LISTED:
        sentence = f"At most {MAX_LISTED} can be listed; name a filter, a group or a site, or all."
        raise ScopeError(field, sentence)
    known = set(Registration.objects.filter(pk__in=ids).values_list("pk", flat=True))
    if missing := sorted(ids - known):
        shown = ", ".join(map(str, missing[:20])) + (", ..." if len(missing) > 20 else "")
        raise ScopeError(field, f"There is no registration {shown}.")
    return rows.filter(pk__in=ids)


def _of_filter(rows: QuerySet[Any], value: Any) -> QuerySet[Any]:
    if not isinstance(value, str):
        raise ScopeError("filter", "Give the query string of the handset list.")
    asked = QueryDict(value)
    if strange := no_such(asked, queries.RegistrationFilter.base_filters):
        raise ScopeError("filter", " ".join(strange.values()))
    if not any(asked.values()):
        raise ScopeError("filter", "It leaves nobody out: say all instead.")
    filtered = queries.RegistrationFilter(asked, rows)
    if not filtered.is_valid():
        wrong = (f"{name}: {' '.join(told)}" for name, told in filtered.errors.items())
        raise ScopeError("filter", " ".join(wrong))
    found: QuerySet[Any] = filtered.qs
    return found


def _of_thing(
    field: str, model: type[ServerGroup] | type[Site]
) -> Callable[[QuerySet[Any], Any], QuerySet[Any]]:
    def reach(rows: QuerySet[Any], value: Any) -> QuerySet[Any]:
        if not _is_id(value) or not model.objects.filter(pk=value).exists():
            raise ScopeError(field, f"There is no {field} {value!r}.")
        return rows.filter(**{field: value})

    return reach


def _of_all(rows: QuerySet[Any], value: Any) -> QuerySet[Any]:
    if value is not True:
        raise ScopeError("all", "Give true, or leave it out.")
    return rows


def _of_server(rows: QuerySet[Any], value: Any) -> QuerySet[Any]:
    return rows.filter(server__in=queries.at_place_of(value))


def _moved_by(rows: QuerySet[Any], value: Any) -> QuerySet[Any]:
    ours = Q(job=value) | Q(job__sweep_of__away=value)
    moved = JobResult.objects.filter(ours, result=Result.MOVED)
    return rows.filter(pk__in=moved.values("registration_id"))


_REACH: Mapping[str, Callable[[QuerySet[Any], Any], QuerySet[Any]]] = {
    "registrations": _of_list,
    "filter": _of_filter,
    "group": _of_thing("group", ServerGroup),
    "site": _of_thing("site", Site),
    "all": _of_all,
}
_OWN_REACH = {"server": _of_server, "moved_by": _moved_by}


def in_own_scope(scope: Mapping[str, Any], now: datetime) -> QuerySet[Any]:
    """Return the registrations of a scope that only Rollcall itself gives (drain, rollback)."""
    ((kind, value),) = scope.items()
    if kind in _OWN_REACH:
        return _OWN_REACH[kind](queries.registrations(now), value)
    return in_scope(scope, now)


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 < value <= LARGEST_ID


def words(scopes: list[Mapping[str, Any]]) -> list[str]:
    """Return each scope in words ("Group Ward 4", "12 handsets"), in three queries for all."""
    names = {
        "group": _names(ServerGroup, scopes, "group"),
        "site": _names(Site, scopes, "site"),
        "server": _names(Server, scopes, "server"),
    }
    return [_word(scope, names) for scope in scopes]


def _word(scope: Mapping[str, Any], names: Mapping[str, Mapping[int, str]]) -> str:
    ((kind, value),) = scope.items()
    if kind in names:
        return f"{kind.capitalize()} {names[kind].get(value, 'that was deleted')}"
    if kind == "registrations":
        return "1 handset" if len(value) == 1 else f"{len(value)} handsets"
    if kind == "filter":
        return "A selection of handsets"
    return "All handsets" if kind == "all" else f"The handsets job {value} moved"


def _names(
    model: type[ServerGroup] | type[Site] | type[Server],
    scopes: list[Mapping[str, Any]],
    kind: str,
) -> dict[int, str]:
    ids = [scope[kind] for scope in scopes if kind in scope]
    return {thing.pk: str(thing) for thing in model.objects.filter(pk__in=ids)} if ids else {}
