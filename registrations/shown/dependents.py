"""What hangs on a site, a group, a server or a handset that somebody wants to delete, in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.urls import reverse

from fleet import inventory
from fleet.models import Handset, Server, ServerGroup, Site
from registrations.limits import LIMITED
from registrations.models import (
    Drain,
    JobResult,
    QuietHours,
    Registration,
    SavedView,
    Transition,
)
from registrations.queries.rows import BOUND
from registrations.shown.behaviour import duration, listed

KINDS: Mapping[str, type[Any]] = {
    "site": Site,
    "group": ServerGroup,
    "server": Server,
    "handset": Handset,
}


@dataclass(frozen=True, slots=True)
class Dependents:
    """What is told before anything is deleted."""

    refusal: str = ""
    """Why it cannot be deleted; '' where it can."""
    goes: tuple[tuple[str, int], ...] = ()
    """What is deleted with it, or left by it: words and how many; never none."""
    told: tuple[str, ...] = ()
    """Sentences: who moves where, what stays."""
    must_be_named: bool = False
    """Handsets hang on it: whoever deletes it types its name."""


def dependents(kind: str, thing: Any) -> Dependents:
    """Return what depends on `thing`, counted now."""
    refusal = inventory.refusal(thing)
    if refusal:
        return Dependents(refusal)
    return _OF[kind](thing)


def _counted(*pairs: tuple[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple((word, n) for word, n in pairs if n)


def _views(field: str, pk: int) -> tuple[str, ...]:
    """Say which saved lists name it: they will find nothing, and say so."""
    named = [
        view.name
        for view in SavedView.objects.all()
        if str(pk) in QueryDict(view.query).getlist(field)
    ]
    if not named:
        return ()
    return (f"Saved lists that filter by it find nothing then: {listed(named)}.",)


def _limited(field: str, thing: Any) -> list[tuple[str, int]]:
    """What names it beside others, and goes on without it."""
    return [
        (f"{word}s that name it beside others", model.objects.filter(**{field: thing}).count())
        for model, word in LIMITED
        if hasattr(model, field)
    ]


def _of_handset(handset: Handset) -> Dependents:
    rows = Registration.objects.filter(line__handset=handset)
    changes = Transition.objects.filter(mac=handset.mac).count()
    bound = rows.filter(state__in=BOUND, line__supervision="register")
    told = []
    if servers := sorted({str(row.server) for row in bound.select_related("server")}):
        told.append(
            f"Its registration with {listed(servers)} is not taken back: it ends by itself there."
        )
    if changes:
        words = "1 change stays" if changes == 1 else f"{changes} changes stay"
        told.append(f"Its history stays: {words} to be read under its MAC.")
    waiting = JobResult.objects.filter(registration__in=rows, result="pending").count()
    goes = _counted(
        ("lines", handset.lines.count()),
        ("open turns in jobs", waiting),
    )
    return Dependents(goes=goes, told=tuple(told))


def _of_server(server: Server) -> Dependents:
    on_it = Registration.objects.filter(server=server).count()
    group = server.group
    told = []
    if on_it:
        others = [each for each in group.servers.all() if each.register and each != server]
        cap = group.max_registrations_per_second
        pace = f", at most {cap} a second, which takes at least " if cap else ""
        pace += duration(max(1, round(on_it / cap))) if cap else ""
        told.append(
            f"{on_it} handset{'s are' if on_it > 1 else ' is'} registered with it now. "
            f"{'They go' if on_it > 1 else 'It goes'} to {others[0]}{pace}."
        )
    goes = _counted(
        ("drains, past and to come", Drain.objects.filter(server=server).count()),
        *_limited("servers", server),
    )
    told.append("Its history stays, under its name.")
    return Dependents("", goes, (*told, *_views("server", server.pk)), must_be_named=bool(on_it))


def _of_group(group: ServerGroup) -> Dependents:
    goes = _counted(
        ("servers", group.servers.count()),
        ("DNS records of its own", group.dns_records.count()),
        ("no-failback hours", QuietHours.objects.filter(group=group).count()),
        *_limited("groups", group),
    )
    return Dependents("", goes, ("Its history stays, under its name.", *_views("group", group.pk)))


def _of_site(site: Site) -> Dependents:
    goes = _counted(
        ("no-failback hours", QuietHours.objects.filter(site=site).count()),
        *_limited("sites", site),
    )
    return Dependents("", goes, ("Its history stays, under its name.", *_views("site", site.pk)))


_OF: Mapping[str, Callable[[Any], Dependents]] = {
    "site": _of_site,
    "group": _of_group,
    "server": _of_server,
    "handset": _of_handset,
}


def after(kind: str, thing: Any) -> str:
    """Where to go when it is no more."""
    if kind == "server":
        return reverse("group", args=[thing.group_id])
    return reverse({"site": "sites", "group": "groups", "handset": "handsets"}[kind])
