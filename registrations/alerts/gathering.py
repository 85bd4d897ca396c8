"""What is known now of servers, sites, handsets and proofs, as facts to judge. Few, small queries.

Nothing here reads the whole fleet: troubles have indexes of their own, and handsets are counted
only in the groups and at the sites where there is one.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Min, Q, QuerySet

from fleet.models import Server, ServerGroup, Site
from fleet.presence import Kind
from registrations.alerts.parts import silent_parts
from registrations.alerts.straggling import drills, with_stragglers
from registrations.incidents.facts import (
    Facts,
    FlapFact,
    ProofFact,
    ServerFact,
    SiteFact,
    Unserved,
    merged,
)
from registrations.incidents.limits import FEW, FLAPPING, HORIZON, LIMITS, PROOF_LOST, Limit
from registrations.models import (
    Registration,
    ServerHealth,
    ServerPace,
    SiteNetwork,
    StandbyProof,
    State,
    Transition,
)
from registrations.queries.rows import BOUND

MOST_UNSERVED = 5000
"""Of so many handsets without a server it is looked up since when; of the rest how many."""

BY_THEMSELVES = ("failover", "failback", "fallback", "restored", "refused", "lost")
"""Causes of changes that nobody ordered."""

MOST_FLAPPING = 1000

Place = tuple[int, int]
"""A group and a site."""


def _silent() -> QuerySet[ServerHealth]:
    return ServerHealth.objects.filter(condition=ServerHealth.Condition.SILENT)


def _sick() -> QuerySet[ServerPace]:
    return ServerPace.objects.filter(sick_since__isnull=False)


def _suspected() -> QuerySet[SiteNetwork]:
    return SiteNetwork.objects.filter(suspected_since__isnull=False)


def _without() -> QuerySet[Registration]:
    return Registration.objects.filter(state__in=(State.UNREGISTERED, State.REJECTED))


TROUBLES: dict[str, Kind] = {
    "silent": _silent,
    "sick": _sick,
    "suspected": _suspected,
    "without": _without,
    "drills": with_stragglers,
}
"""Where there are no such rows, only a thorough look finds facts, and who is silent."""


def facts(
    now: datetime,
    named: Collection[int],
    limits: Mapping[str, Limit] = LIMITS,
    *,
    is_thorough: bool,
) -> Facts:
    """Return all facts. `named`: the registrations that are an incident of their own already.

    What costs more is looked at only when thorough; else nothing is known of it.
    """
    processes, blind = silent_parts(now)
    rare: dict[str, Any] = {}
    if is_thorough:
        rare = {"proofs": tuple(_proofs()), "flaps": tuple(_flaps(now, limits[FLAPPING]))}
    else:
        blind |= {PROOF_LOST, FLAPPING}
    return Facts(
        servers=tuple(_servers(now, limits[HORIZON].within_s)),
        sites=tuple(_sites()),
        unserved=tuple(_unserved(now, frozenset(named))),
        processes=tuple(processes),
        drills=tuple(drills(now)),
        blind=blind,
        **rare,
    )


def _supervised() -> Any:
    return Registration.objects.exclude(state=State.DISABLED).order_by()


def _by_place(groups: Iterable[int]) -> Counter[Place]:
    """Return how many handsets of these groups there are, by group and site."""
    rows = _supervised().filter(group__in=set(groups)).values_list("group", "site")
    return Counter({(group, site): n for group, site, n in rows.annotate(n=Count("pk"))})


def _sites() -> Iterable[SiteFact]:
    networks = _suspected().select_related("site")
    for network in networks.order_by("site__name"):
        there = _supervised().filter(site=network.site_id)
        counts = dict(there.values_list("group__name").annotate(n=Count("pk")))
        since = network.suspected_since
        assert since is not None  # noqa: S101 - as filtered
        yield SiteFact(
            network.site_id,
            network.site.name,
            since.timestamp(),
            tuple(sorted(counts)),
            sum(counts.values()),
        )


def _servers(now: datetime, horizon_s: float) -> Iterable[ServerFact]:
    """Those that are silent from somewhere, as last known, and those that are sick."""
    wanted = Q(pk__in=_silent().values("server")) | Q(pk__in=_sick().values("server"))
    servers = list(Server.objects.filter(wanted).select_related("group", "pace").order_by("pk"))
    if not servers:
        return []
    groups = {server.group_id for server in servers}
    health: dict[int, list[ServerHealth]] = defaultdict(list)
    for row in ServerHealth.objects.filter(server__group__in=groups).select_related(
        "site", "server"
    ):
        health[row.server.group_id].append(row)
    handsets, held = _by_place(groups), _held(servers, now + timedelta(seconds=horizon_s))
    facts = (_server(server, health[server.group_id], handsets, held) for server in servers)
    return merged(replace(fact, horizon_s=horizon_s) for fact in facts)


def _held(servers: Iterable[Server], soon: datetime) -> dict[tuple[int, int], tuple[int, int]]:
    """Return how many handsets each holds by site, and of how many the binding ends by then."""
    bound = Registration.objects.filter(
        server__in=[server.pk for server in servers],
        group__in={server.group_id for server in servers},
        state__in=BOUND,
    )
    lapses = Count("pk", filter=Q(expires_at__lt=soon))
    rows = bound.order_by().values_list("server", "site").annotate(n=Count("pk"), lapsing=lapses)
    return {(server, site): (n, lapsing) for server, site, n, lapsing in rows}


def _server(
    server: Server,
    health: Iterable[ServerHealth],
    handsets: Counter[Place],
    held: dict[tuple[int, int], tuple[int, int]],
) -> ServerFact:
    mine = [row for row in health if row.server_id == server.pk]
    silent = [row for row in mine if row.condition == ServerHealth.Condition.SILENT]
    places = {row.site_id for row in silent} or {row.site_id for row in mine}
    others = (row for row in health if row.server_id != server.pk and row.site_id in places)
    answer = any(row.condition == ServerHealth.Condition.UP for row in others)
    bound = [held.get((server.pk, row.site_id), (0, 0)) for row in silent]
    pace = getattr(server, "pace", None)
    sick_since = pace.sick_since if pace is not None else None
    # More are refused with each renewal; those who found no other server are known by their state.
    lost = Registration.objects.filter(group=server.group_id, state=State.REJECTED)
    rejected = lost.count() if sick_since is not None else 0
    return ServerFact(
        server.pk,
        server.place,
        str(server),
        (server.group.name,),
        silent={row.site.name: row.since.timestamp() for row in silent},
        asked=frozenset(row.site.name for row in mine),
        sick_since=sick_since.timestamp() if sick_since is not None else None,
        refused=max(pace.refused, rejected) if pace is not None else 0,
        held=sum(n for n, _ in bound),
        calls_it_home=sum(handsets[server.group_id, site] for site in places),
        others_answer=answer,
        # While another server answers, each goes there when its renewal fails, in time.
        lapsing=0 if answer else sum(lapsing for _, lapsing in bound),
    )


def _unserved(now: datetime, named: frozenset[int]) -> Iterable[Unserved]:
    without = _without()
    kept = ("pk", "group", "site", "state", "since")
    first = list(without.order_by("since").values_list(*kept)[:MOST_UNSERVED])
    if not first:
        return
    counts = {
        (group, site, state): n
        for group, site, state, n in without.order_by()
        .values_list("group", "site", "state")
        .annotate(n=Count("pk"))
    }
    by_part: dict[tuple[int, int, str], list[tuple[int, datetime]]] = defaultdict(list)
    for pk, group, site, state, since in first:
        by_part[group, site, state].append((pk, since))
    wanted = {
        pk
        for part, rows in by_part.items()
        for pk, _ in rows
        if counts.get(part, 0) <= FEW or pk in named
    }
    known = Registration.objects.filter(pk__in=wanted).select_related("line__handset")
    rows_of = {row.pk: row for row in known.defer("line__auth_password", "snapshot")}
    names = _names({group for group, _, _ in by_part}, {site for _, site, _ in by_part})
    of = _by_place({group for group, _, _ in by_part})
    for (group, site, state), rows in by_part.items():
        count = counts.get((group, site, state), len(rows))
        at = rows[FEW][1] if len(rows) > FEW else (now if count > FEW else rows[0][1])
        yield Unserved(
            group,
            names["group", group],
            site,
            names["site", site],
            state == State.REJECTED,
            count,
            of[group, site],
            at.timestamp(),
            tuple(_named(rows_of[pk]) for pk, _ in rows if pk in rows_of),
        )


def _named(row: Registration) -> tuple[int, str, float, str]:
    name = f"{row.line.handset} ({row.line.extension})"
    return row.pk, name, row.since.timestamp(), row.reason


def _names(groups: Collection[int], sites: Collection[int]) -> dict[tuple[str, int], str]:
    kinds = {
        "group": ServerGroup.objects.filter(pk__in=groups),
        "site": Site.objects.filter(pk__in=sites),
    }
    return {
        (kind, pk): name
        for kind, rows in kinds.items()
        for pk, name in rows.values_list("pk", "name")
    }


def _proofs() -> Iterable[ProofFact]:
    """Servers that would refuse whom they would have taken before."""
    if not settings.PROVE_EVERY:
        return
    not_taken = (StandbyProof.Proof.REFUSED, StandbyProof.Proof.UNKNOWN_AOR)
    lost = StandbyProof.objects.filter(proof__in=not_taken, proved_at__isnull=False).order_by()
    by_site = lost.values_list("server", "site__name").annotate(n=Count("pk"), last=Max("since"))
    servers = Server.objects.select_related("group").in_bulk({row[0] for row in by_site})
    all_of = StandbyProof.objects.filter(server__in=servers).order_by().values_list("server")
    of = dict(all_of.annotate(n=Count("pk")))
    found: dict[str, list[tuple[Server, str, int, datetime]]] = defaultdict(list)
    for server_id, site, n, last in by_site:
        server = servers[server_id]
        found[server.place].append((server, site, n, last))
    for place, rows in found.items():
        first = rows[0][0]
        yield ProofFact(
            first.pk,
            place,
            str(first),
            tuple(sorted({server.group.name for server, _, _, _ in rows})),
            tuple(sorted({site for _, site, _, _ in rows})),
            sum(n for _, _, n, _ in rows),
            sum(of[pk] for pk in {server.pk for server, _, _, _ in rows}),
            max(last for _, _, _, last in rows).timestamp(),
        )


def _flaps(now: datetime, limit: Limit) -> Iterable[FlapFact]:
    """Handsets that changed again and again by themselves, by site."""
    within, calm = timedelta(seconds=limit.within_s), timedelta(seconds=limit.calm_s)
    lately = Transition.objects.filter(at__gte=now - within, cause__in=BY_THEMSELVES)
    counted = (
        lately.filter(registration__isnull=False)
        .order_by()
        .values("registration")
        .annotate(n=Count("pk"), first=Min("at"), last=Max("at"))
        .filter(n__gte=limit.times, last__gte=now - calm)
    )
    found = {row["registration"]: row for row in counted[:MOST_FLAPPING]}
    if not found:
        return
    rows = Registration.objects.filter(pk__in=found).select_related(
        "line__handset", "group", "site"
    )
    by_site: dict[Site, list[Registration]] = defaultdict(list)
    for row in rows.defer("line__auth_password", "snapshot").order_by("site__name", "pk"):
        by_site[row.site].append(row)
    for site, flapping in by_site.items():
        mine = [found[row.pk] for row in flapping]
        only = flapping[0] if len(flapping) == 1 else None
        yield FlapFact(
            site.pk,
            site.name,
            tuple(sorted({row.group.name for row in flapping})),
            len(flapping),
            _supervised().filter(site=site).count(),
            max(each["n"] for each in mine),
            limit.within_s,
            min(each["first"] for each in mine).timestamp(),
            (only.pk, _named(only)[1]) if only is not None else None,
        )
