"""Whom an order is about: a list, a group, a site, or all."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet

from fleet.filters import LARGEST_ID
from fleet.models import ServerGroup, Site
from registrations.models import Registration

MAX_LISTED = 10_000
"""How many registrations a scope may list by id; more is a group, a site or all."""


class ScopeError(ValueError):
    """The scope names nothing that can be brought home; `field` says which part is wrong."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.sentence = sentence


def in_scope(scope: Mapping[str, Any]) -> QuerySet[Registration]:
    kinds = {"registrations", "group", "site", "all"}
    if len(scope) != 1 or not kinds.issuperset(scope):
        raise ScopeError(
            "scope", "Give exactly one of registrations (a list of ids), group, site, or all."
        )
    ((kind, value),) = scope.items()
    rows = Registration.objects.all()
    if kind == "registrations":
        return rows.filter(pk__in=_listed(value))
    if kind == "all":
        if value is not True:
            raise ScopeError("all", "Give true, or leave it out.")
        return rows
    model = ServerGroup if kind == "group" else Site
    if not _is_id(value) or not model.objects.filter(pk=value).exists():
        raise ScopeError(kind, f"There is no {kind} {value!r}.")
    return rows.filter(**{kind: value})


def _listed(value: Any) -> set[int]:
    field = "registrations"
    if not isinstance(value, list) or not value or not all(map(_is_id, value)):
        raise ScopeError(field, "Give a list of registration ids.")
    ids = set(value)
    if len(ids) > MAX_LISTED:
        sentence = f"At most {MAX_LISTED} can be listed; name a group or a site, or all."
        raise ScopeError(field, sentence)
    known = set(Registration.objects.filter(pk__in=ids).values_list("pk", flat=True))
    if missing := sorted(ids - known):
        shown = ", ".join(map(str, missing[:20])) + (", ..." if len(missing) > 20 else "")
        raise ScopeError(field, f"There is no registration {shown}.")
    return ids


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 < value <= LARGEST_ID


def words(scopes: list[Mapping[str, Any]]) -> list[str]:
    """Return each scope in words ("Group Ward 4", "12 handsets"), in two queries for all."""
    groups = _names(ServerGroup, [s["group"] for s in scopes if "group" in s])
    sites = _names(Site, [s["site"] for s in scopes if "site" in s])
    said = []
    for scope in scopes:
        if "group" in scope:
            said.append(f"Group {groups.get(scope['group'], 'that was deleted')}")
        elif "site" in scope:
            said.append(f"Site {sites.get(scope['site'], 'that was deleted')}")
        elif "registrations" in scope:
            n = len(scope["registrations"])
            said.append("1 handset" if n == 1 else f"{n} handsets")
        else:
            said.append("All handsets")
    return said


def _names(model: type[ServerGroup] | type[Site], ids: list[int]) -> dict[int, str]:
    return dict(model.objects.filter(pk__in=ids).values_list("pk", "name")) if ids else {}
