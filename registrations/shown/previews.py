"""What a job would do, told before it is ordered: whom it moves, whom not, how long it takes."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Prefetch, QuerySet

from fleet.models import Line, Server, ServerGroup
from registrations import jobs, proving, queries, waves
from registrations.models import Job, JobResult, StandbyProof
from registrations.shown import behaviour, readiness
from registrations.templatetags.rollcall import mac, state_label

Result = JobResult.Result

NAMED_ABOVE = 100
"""An order about more handsets asks for its name to be typed."""
EXAMPLES = 8


@dataclass(frozen=True, slots=True)
class Lane:
    """Those of one group who stand at the same place."""

    group: str
    where: str
    """State and server."""
    goal: str
    """Where they are to go."""
    count: int


@dataclass(frozen=True, slots=True)
class Observed:
    """Those of one group whom Rollcall only observes: the handset decides."""

    group: str
    count: int
    rule: str
    latest: datetime | None
    """When the last of their bindings ends, as far as anybody knows."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Whom an order would move, as its dialog names it."""

    total: int
    asked: int
    already: int
    left_out: int
    lanes: list[Lane] = field(default_factory=list)
    reasons: list[tuple[str, int]] = field(default_factory=list)
    """Why others are left out, and how many."""
    observed: list[Observed] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """What speaks against it; it leaves nobody out."""
    held: list[str] = field(default_factory=list)
    """What it goes against; it must be wanted all the same."""
    examples: list[str] = field(default_factory=list)
    canaries: int = 0
    waves: int = 0
    seconds: float = 0.0

    @property
    def more(self) -> int:
        """How many of those asked the examples do not name."""
        return self.asked - len(self.examples)

    @property
    def must_be_named(self) -> bool:
        return self.asked > NAMED_ABOVE


def preview(scope: Mapping[str, Any], terms: jobs.Terms, now: datetime) -> Preview:
    """Count whom bringing `scope` home would move. Raises ScopeError."""
    rows = jobs.judged(jobs.in_scope(scope, now))
    return replace(_counted(rows, terms, _home, now), held=jobs.held(rows, now))


def drain_preview(server: Server, terms: jobs.Terms, now: datetime) -> Preview:
    """Count whom draining that server would move now."""
    places = set(queries.at_place_of(server.pk))
    rows = queries.registrations(now).filter(server__in=places)
    judged = jobs.judged(rows, Job.Kind.DRAIN, server_id=server.pk)

    def goal(group: ServerGroup) -> Server | None:
        others = (s for s in group.servers.all() if s.register and s.pk not in places)
        return min(others, key=lambda other: other.priority, default=None)

    return _counted(judged, terms, goal, now)


def drill_preview(scope: Mapping[str, Any], terms: jobs.Terms, now: datetime) -> Preview:
    """Count whom a drill with `scope` would move now. Raises ScopeError."""
    asked = jobs.in_scope(scope, now)
    found = _counted(jobs.judged(asked, Job.Kind.DRILL), terms, _next, now)
    against = jobs.clash(asked, now)
    return replace(found, warnings=[*found.warnings, *filter(None, [against])])


Goal = Callable[[ServerGroup], Server | None]
"""Where those of a group are to go."""


def _counted(rows: QuerySet[Any], terms: jobs.Terms, goal: Goal, now: datetime) -> Preview:
    fields = ("group", "verdict", "why", "shown_state", "server")
    found = list(rows.order_by().values(*fields).annotate(n=Count("pk")))
    sums: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    asked: Counter[int] = Counter()
    for each in found:
        sums[each["verdict"]] += each["n"]
        if each["verdict"] == Result.LEFT_OUT:
            reasons[each["why"]] += each["n"]
        if each["verdict"] == Result.PENDING:
            asked[each["group"]] += each["n"]
    here = _groups({each["group"] for each in found})
    pace = [
        (n, waves.wave_size(cap, terms.wave_size, len(asked)), cap)
        for group, n in asked.items()
        for cap in [here[group].max_registrations_per_second]
    ]
    return Preview(
        total=sum(sums.values()),
        asked=sums[Result.PENDING],
        already=sums[Result.ALREADY_THERE],
        left_out=sums[Result.LEFT_OUT],
        lanes=_lanes([each for each in found if each["verdict"] == Result.PENDING], here, goal),
        reasons=reasons.most_common(),
        observed=_observed(rows, here),
        warnings=_warnings([here[group] for group in sorted(asked)], goal, rows, now),
        examples=_examples(rows.filter(verdict=Result.PENDING)),
        canaries=len(asked),
        waves=max((waves.waves(n, size) for n, size, _ in pace), default=0),
        seconds=waves.seconds(pace),
    )


def _groups(ids: set[int]) -> dict[int, ServerGroup]:
    groups = ServerGroup.objects.prefetch_related(
        Prefetch("servers", Server.objects.select_related("pace")),
        "servers__pauses",
        "servers__health__site",
    )
    return {group.pk: group for group in groups.filter(pk__in=ids)}


def _lanes(
    found: list[dict[str, Any]], groups: Mapping[int, ServerGroup], goal: Goal
) -> list[Lane]:
    lanes = []
    for each in found:
        group = groups[each["group"]]
        servers = {server.pk: server for server in group.servers.all()}
        server = servers.get(each["server"])
        word = state_label(each["shown_state"])
        where = f"{word}, {server}" if server else word
        lanes.append(Lane(group.name, where, str(goal(group) or ""), each["n"]))
    return sorted(lanes, key=lambda lane: (lane.group, lane.where))


def _home(group: ServerGroup) -> Server | None:
    return next((s for s in group.servers.all() if s.priority == 1 and s.register), None)


def _next(group: ServerGroup) -> Server | None:
    return next((s for s in group.servers.all() if s.priority > 1 and s.register), None)


def _observed(rows: QuerySet[Any], groups: Mapping[int, ServerGroup]) -> list[Observed]:
    observed = rows.filter(line__supervision=Line.Supervision.OBSERVE).order_by()
    counted = observed.values("group").annotate(n=Count("pk"), latest=Max("expires_at"))
    told = [
        Observed(groups[each["group"]].name, each["n"], rule, each["latest"])
        for each in counted
        for rule in [behaviour.homeward(groups[each["group"]])]
    ]
    return sorted(told, key=lambda each: each.group)


def _warnings(
    groups: Sequence[ServerGroup], goal: Goal, rows: QuerySet[Any], now: datetime
) -> list[str]:
    goals = {group: server for group in groups for server in [goal(group)] if server}
    unproved = _unproved(goals.values(), rows.filter(verdict=Result.PENDING), now)
    return [
        warning
        for group, server in goals.items()
        for warning in (*_trouble(group, server, now), *unproved[server])
    ]


def _trouble(group: ServerGroup, server: Server, now: datetime) -> list[str]:
    known = queries.server_condition(server.health.all(), now)
    told = [] if known["condition"] == "up" else [known["word"]]
    told += [said for said in [queries.server_trouble(server, now)["trouble"]] if said]
    role = "primary" if server.priority == 1 else "next server"
    return [f"{server}, the {role} of {group.name}: {word.rstrip('.')}." for word in told]


def _unproved(
    servers: Collection[Server], asked: QuerySet[Any], now: datetime
) -> dict[Server, list[str]]:
    """Say how many of those asked each server is not proved to take."""
    ids = asked.order_by().values("pk")
    counts = queries.proof_counts(now, registration__in=ids, server__in=list(servers))
    return {
        server: [
            f"{server} is not proved to take {counts[server.pk][proof]:,} of them: "
            f"{readiness.MEANS[proof]}."
            for proof in StandbyProof.Proof
            if settings.PROVE_EVERY and counts[server.pk][proof] and proof not in proving.TAKES
        ]
        for server in servers
    }


def _examples(asked: QuerySet[Any]) -> list[str]:
    return [
        f"{row.line.handset.name or mac(row.line.handset.mac)} ({row.line.extension})"
        for row in asked.order_by("line__handset__name", "pk")[:EXAMPLES]
    ]


def name_of(scope: Mapping[str, Any], shown: Preview) -> str:
    """Return what must be typed before a large order: its group, its site, or how many."""
    if "group" in scope or "site" in scope:
        return jobs.words([scope])[0].partition(" ")[2]
    return str(shown.asked)
