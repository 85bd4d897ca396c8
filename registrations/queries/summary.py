"""The fleet in numbers: by state, by group, by server, and in one sentence."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, Min, Prefetch, QuerySet

from fleet import reach
from fleet.models import Server, ServerGroup, Site
from registrations.models import Registration, ServerHealth, State
from registrations.queries.extent import EVERYTHING, Extent
from registrations.queries.holds import hold_word, holds_at
from registrations.queries.incidents import open_incidents
from registrations.queries.rows import BOUND, GRACE, role_of, shown
from registrations.queries.suspected import suspected
from registrations.queries.words import clock, moment


def no_counts() -> dict[str, int]:
    """Return zero for every key a count by shown state has; silent servers are counted apart."""
    counts = {state.value: 0 for state in State}
    return counts | {f"{state.value}_silent": 0 for state in BOUND}


def _counts(now: datetime, extent: Extent) -> list[Any]:
    columns = shown(now)
    rows = extent.of(Registration.objects.annotate(shown_state=columns["shown_state"]))
    by = rows.values("group_id", "server_id", "site_id", "shown_state")
    return list(
        by.annotate(
            n=Count("id"),
            since=Min(columns["shown_since"]),
            stuck=Count("stuck_since"),
            stuck_since=Min("stuck_since"),
        ).order_by()
    )


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


def server_trouble(server: Server, now: datetime) -> dict[str, Any]:
    """Return what a server may do to its handsets although it answers: refuse them, ask for quiet.

    `trouble` is that as a sentence, '' where there is none.
    """
    pace = getattr(server, "pace", None)
    sick_since = pace.sick_since if pace is not None else None
    quiet = sorted(
        (each for each in server.pauses.all() if each.until > now.timestamp()),
        key=lambda each: each.until,
    )
    told = []
    if pace is not None and sick_since is not None:
        # Those it refused are of any site.
        counted = f" ({pace.refused} within a minute)" if reach.sites() is None else ""
        told.append(
            f"Refuses handsets it accepted before, since {clock(sick_since, 'UTC', now)}{counted}."
        )
    for each in quiet:
        until = clock(datetime.fromtimestamp(each.until, UTC), "UTC", now)
        asked = f"{each} asked" if each.address != server.address else "Asked"
        told.append(f"{asked} to be left alone until {until}.")
    paused_until = datetime.fromtimestamp(quiet[-1].until, UTC) if quiet else None
    return {
        "sick_since": moment(sick_since),
        "paused_until": moment(paused_until),
        "trouble": " ".join(told),
    }


def _with_trouble(condition: dict[str, Any], trouble: dict[str, Any]) -> dict[str, Any]:
    words = [condition["word"], trouble["trouble"]]
    return condition | trouble | {"word": ". ".join(word for word in words if word)}


def _health(
    extent: Extent,
) -> tuple[dict[int, list[ServerHealth]], dict[tuple[int, int], datetime]]:
    """Return what is known by server, and since when each silent (server, site) is."""
    health: dict[int, list[ServerHealth]] = defaultdict(list)
    heard = extent.of(ServerHealth.objects.all(), group="server__group")
    for known in heard.select_related("site").order_by("site__name"):
        health[known.server_id].append(known)
    everything = (h for known in health.values() for h in known)
    silent = ServerHealth.Condition.SILENT
    return health, {(h.server_id, h.site_id): h.since for h in everything if h.condition == silent}


def fleet_zone(extent: Extent = EVERYTHING) -> str:
    """Return the zone of the fleet where all its sites share one, else UTC."""
    sites = Site.objects.filter(pk__in=extent.sites) if extent.sites else Site.objects.all()
    zones = list(sites.order_by().values_list("time_zone", flat=True).distinct()[:2])
    return zones[0] if len(zones) == 1 else "UTC"


def summary(now: datetime, extent: Extent = EVERYTHING) -> dict[str, Any]:
    """Return the fleet in numbers as shown at `now`: by state, by group, by server. Ten queries.

    With an extent, as if there were nothing else; a group nobody of these sites is in is left out.
    `states` counts each registration once: a binding on a silent server under `primary_silent`
    (`secondary_silent`, `fallback_silent`), never under `primary`. `since` has when the one longest
    in a state arrived; of silence, when it began. The headline's times are in its sites' zone.
    """
    health, silent_at = _health(extent)
    total = no_counts()
    since: dict[str, datetime] = {}
    by_group: dict[int, dict[str, int]] = defaultdict(no_counts)
    by_server: dict[int, dict[str, int]] = defaultdict(no_counts)
    told_of: set[int] = set()
    for counted in (found := _counts(now, extent)):
        key, began = counted["shown_state"], counted["since"]
        if key in BOUND and (place := (counted["server_id"], counted["site_id"])) in silent_at:
            key, began = f"{key}_silent", silent_at[place]
        since[key] = min(began, since.get(key, began))
        if key in ELSEWHERE or counted["stuck"]:
            told_of.add(counted["site_id"])
        for counts in (total, by_group[counted["group_id"]]):
            counts[key] += counted["n"]
        if counted["server_id"] is not None:
            by_server[counted["server_id"]][key] += counted["n"]
    result = {
        "as_of": moment(now),
        "total": sum(total.values()),
        "states": total,
        "since": {key: moment(since[key]) for key in total if key in since},
        **_stuck_in(found),
        **suspected(now, extent),
        **open_incidents(extent),
        "groups": [
            _group(g, by_group[g.pk], by_server, health, now) | more
            for g, more in _held(_groups(extent, by_group), found, now)
        ],
    }
    zone = fleet_zone(Extent(sites=frozenset(told_of) or extent.sites))
    return result | {"headline": headline(result, zone, now)}


def _stuck_in(counts: Iterable[Any]) -> dict[str, Any]:
    """Return how many agents come to no end, and since when the first of them."""
    stuck = [counted for counted in counts if counted["stuck"]]
    return {
        "stuck": sum(counted["stuck"] for counted in stuck),
        "stuck_since": moment(min((counted["stuck_since"] for counted in stuck), default=None)),
    }


def _groups(extent: Extent, found: Iterable[int]) -> QuerySet[ServerGroup]:
    """Return the groups of an extent in which somebody of its sites was found."""
    groups = ServerGroup.objects.prefetch_related(
        Prefetch("servers", Server.objects.select_related("pace")), "servers__pauses"
    )
    if extent.groups:
        groups = groups.filter(pk__in=extent.groups)
    return groups.filter(pk__in=found) if extent.sites else groups


def _held(
    groups: QuerySet[ServerGroup], counts: list[Any], now: datetime
) -> list[tuple[ServerGroup, dict[str, Any]]]:
    """Return each group with how many agents are stuck and what keeps its handsets away.

    What is on costs a few more queries.
    """
    holds = holds_at(now.timestamp())
    sites = Site.objects.in_bulk() if holds.drained or holds.quiet else {}
    places = defaultdict(set)
    stuck: Counter[int] = Counter()
    for counted in counts:
        places[counted["group_id"]].add(counted["site_id"])
        stuck[counted["group_id"]] += counted["stuck"]
    told = []
    for group in groups:
        there = [site for pk, site in sites.items() if pk in places[group.pk]]
        hold = hold_word(holds, group.pk, group.servers.all(), there, now)
        told.append((group, {"hold": hold, "stuck": stuck[group.pk]}))
    return told


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
                "place": server.place,
                "priority": server.priority,
                "role": role_of(server, group.mode),
                "register": server.register,
                "held": sum(here[s] + here[f"{s}_silent"] for s in BOUND),
                "states": here,
                **_with_trouble(
                    server_condition(health.get(server.pk, ()), now), server_trouble(server, now)
                ),
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


ELSEWHERE = {
    "primary_silent": "on a primary that is silent",
    "secondary": "on secondary",
    "secondary_silent": "on a secondary that is silent",
    "fallback": "on fallback",
    "fallback_silent": "on a fallback server that is silent",
    "registering": "registering",
    "unregistered": "unregistered",
    "rejected": "rejected",
    "held": "held back",
    "unknown": "unknown",
}
"""How the headline says who is not well on primary."""


def headline(summary: Mapping[str, Any], time_zone: str, now: datetime) -> str:
    """Return the fleet in one sentence: who is well, then everybody else and since when.

    In sentences of their own: agents that are stuck, and sites whose own network is suspected.
    """
    names = ", ".join(site["site_name"] for site in summary.get("suspected_sites", ()))
    counted = _counted(summary, time_zone, now) + _stuck(summary, time_zone, now)
    return counted + (f" The network of {names} is suspected." if names else "")


def _stuck(summary: Mapping[str, Any], time_zone: str, now: datetime) -> str:
    if not summary.get("stuck"):
        return ""
    since = clock(datetime.fromisoformat(summary["stuck_since"]), time_zone, now)
    whose = "1 agent is" if summary["stuck"] == 1 else f"{summary['stuck']:,} agents are"
    return f" {whose} stuck since {since}: Rollcall begins them anew."


def _counted(summary: Mapping[str, Any], time_zone: str, now: datetime) -> str:
    counts = summary["states"]
    supervised = summary["total"] - counts[State.DISABLED]
    if not summary["total"]:
        return "No handsets yet."
    if not supervised:
        return f"No registration is supervised; {counts[State.DISABLED]:,} switched off."
    parts = []
    for key, words in ELSEWHERE.items():
        if counts[key]:
            since = clock(datetime.fromisoformat(summary["since"][key]), time_zone, now)
            parts.append(f"{counts[key]:,} {words} since {since}")
    # They share a zone: its name stands once, at the end.
    parts[:-1] = [part.rpartition(" ")[0] for part in parts[:-1]]
    if not parts:
        return f"All {supervised:,} on primary." if supervised > 1 else "The one is on primary."
    return f"{counts[State.PRIMARY]:,} of {supervised:,} on primary; {'; '.join(parts)}."
