"""The list of handsets as an address asks for it: filter, order, columns, chips, choices."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.core.paginator import Page
from django.db.models import Count
from django.http import QueryDict

from fleet.models import Handset, Line, Preference, Server, ServerGroup, Site
from registrations import queries, saved_views
from registrations.models import SavedView
from registrations.shown import pages
from registrations.templatetags.handset_table import COLUMNS, USUAL, Column, known

SILENCE = {"true": "Server silent", "false": "Server answers"}
STUCK = {"true": "Agent stuck", "false": "Agent works"}
SUPERVISION = {value: str(word) for value, word in Line.Supervision.choices}

MOVES_BY_ITSELF = frozenset({"state", "silent", "stuck", "server", "q"})
"""Filters that a handset enters and leaves without anybody's edit."""
RUNS_BY_ITSELF = frozenset({"state", "server", "since", "next", "expires", "heard"})
"""Orders that change so."""


@dataclass
class Look:
    """One look at the list. `params` is the address in full: a view's part of it included."""

    params: QueryDict
    user: Any
    now: datetime
    view: SavedView | None = None
    base: SavedView | None = None
    """The view this list began as, where it was changed since."""
    fault: str = ""
    """Why nothing is listed, where the address names a view that is not there."""

    @cached_property
    def filtered(self) -> queries.RegistrationFilter:
        return queries.RegistrationFilter(self.params, queries.plain(self.now))

    @property
    def sort(self) -> str:
        sort = self.params.get("sort", "")
        return sort if sort.removeprefix("-") in queries.ORDERS else "name"

    @cached_property
    def rows(self) -> queries.Shown:
        valid = not self.fault and self.filtered.is_valid()
        found: queries.Shown = self.filtered.qs if valid else queries.plain(self.now).none()
        return queries.ordered(found, self.sort)

    @cached_property
    def pager(self) -> queries.Pager:
        return queries.Pager(self.rows, pages.size_of(self.params))

    def page(self) -> Page[Any]:
        return self.pager.get_page(self.params.get("page"))

    @property
    def faults(self) -> list[list[str]]:
        """Sentences about what in the address makes no sense, field by field."""
        if self.fault:
            return [[self.fault]]
        wrong = self.filtered.errors if not self.filtered.is_valid() else {}
        own = self.filtered.base_filters
        return [
            [f"{pages.label(name)}:", *texts] if name in own else texts
            for name, texts in wrong.items()
        ]

    @cached_property
    def query(self) -> str:
        """Its filter and order as a query string, free of views: what an order refers to."""
        return saved_views.kept(self.params)

    @property
    def is_filtered(self) -> bool:
        return bool(set(QueryDict(self.query)) - {"sort"})

    @property
    def moves(self) -> bool:
        """Whether rows come, go and change places by themselves."""
        return bool(
            self.sort.removeprefix("-") in RUNS_BY_ITSELF
            or MOVES_BY_ITSELF & set(QueryDict(self.query))
        )

    @cached_property
    def columns(self) -> list[Column]:
        """Those the address names, else the view's, else the user's, else the usual ones."""
        given = known(self.params.get("columns", "").split(","))
        base = self.view or self.base
        keys = given or known(base.columns if base else ()) or known(_own(self.user)) or USUAL
        return [COLUMNS[key] for key in keys]


def _own(user: Any) -> list[str]:
    mine = Preference.objects.filter(user=user.pk).values_list("handset_columns", flat=True)
    return mine.first() or []


def look(given: QueryDict, user: Any, now: datetime) -> Look:
    """Read an address."""
    try:
        params, view = saved_views.resolved(given, user)
        slug = given.get("from", "")
        if view is not None and (saved_views.kept(params) != view.query or "columns" in given):
            view, slug = None, view.slug
        base = saved_views.find(slug, user) if slug and view is None else None
    except saved_views.NoSuchView as missing:
        return Look(given, user, now, fault=str(missing))
    return Look(params, user, now, view, base)


def remember_columns(user: Any, keys: list[str]) -> None:
    """Let these be the user's columns wherever no view has its own."""
    Preference.objects.update_or_create(user=user, defaults={"handset_columns": known(keys)})


def options() -> dict[str, dict[str, str]]:
    """What the menus of filters offer, by field: value and word."""
    return {
        "state": pages.state_names(),
        "group": {str(pk): name for pk, name in ServerGroup.objects.values_list("pk", "name")},
        "site": {str(pk): name for pk, name in Site.objects.values_list("pk", "name")},
        "server": {str(server.pk): str(server) for server in Server.objects.all()},
    }


def described() -> dict[str, list[tuple[str, int]]]:
    """The tags and models there are, each with how many handsets have it, most first."""
    tags: Counter[str] = Counter()
    found = Handset.objects.order_by().values_list("tags").annotate(n=Count("pk"))
    for these, n in found:
        tags.update(dict.fromkeys(these, n))
    models = Handset.objects.exclude(model="").order_by().values_list("model")
    return {
        "tag": tags.most_common(),
        "model": sorted(models.annotate(n=Count("pk")), key=lambda each: -each[1]),
    }


def chips(seen: Look, offered: Mapping[str, Mapping[str, str]]) -> list[pages.Chip]:
    """The active filters, each with the address of the same list without it."""
    own = {
        "silent": SILENCE,
        "stuck": STUCK,
        "tag": {},
        "model": {},
        "supervision": SUPERVISION,
        "q": {},
    }
    return pages.chips(free(seen), {**offered, **own})


def free(seen: Look) -> QueryDict:
    """The address of this list to go on from: no view any more, but where it came from."""
    params = seen.params.copy()
    base = seen.view or seen.base
    for field in ("view", "page", "from"):
        params.pop(field, None)
    if base is not None:
        params["from"] = base.slug
    return params
