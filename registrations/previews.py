"""What a failback would do, told before it is ordered: whom it moves, whom not, how long."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Prefetch, QuerySet

from fleet.models import Line, Server, ServerGroup
from registrations import behaviour, jobs, queries, waves
from registrations.models import JobResult
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
    home: str
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
    examples: list[str] = field(default_factory=list)
    canaries: int = 0
    waves: int = 0
    seconds: float = 0.0

    @property
    def more(self) -> int:
        """How many of those asked home the examples do not name."""
        return self.asked - len(self.examples)

    @property
    def must_be_named(self) -> bool:
        return self.asked > NAMED_ABOVE


def preview(scope: Mapping[str, Any], terms: jobs.Terms, now: datetime) -> Preview:
    """Count whom bringing `scope` home would move. Raises ScopeError."""
    rows = jobs.judged(jobs.in_scope(scope, now))
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
    groups = ServerGroup.objects.prefetch_related(
        Prefetch("servers", Server.objects.select_related("pace")),
        "servers__pauses",
        "servers__health__site",
    )
    here = {group.pk: group for group in groups.filter(pk__in={each["group"] for each in found})}
    pace = [
        (n, waves.wave_size(cap, terms.wave_size), cap)
        for group, n in asked.items()
        for cap in [here[group].max_registrations_per_second]
    ]
    return Preview(
        total=sum(sums.values()),
        asked=sums[Result.PENDING],
        already=sums[Result.ALREADY_THERE],
        left_out=sums[Result.LEFT_OUT],
        lanes=_lanes([each for each in found if each["verdict"] == Result.PENDING], here),
        reasons=reasons.most_common(),
        observed=_observed(rows, here),
        warnings=[w for group in sorted(asked) for w in _warnings(here[group], now)],
        examples=_examples(rows.filter(verdict=Result.PENDING)),
        canaries=len(asked),
        waves=max((waves.waves(n, size) for n, size, _ in pace), default=0),
        seconds=waves.seconds(pace),
    )


def _lanes(found: list[dict[str, Any]], groups: Mapping[int, ServerGroup]) -> list[Lane]:
    lanes = []
    for each in found:
        group = groups[each["group"]]
        servers = {server.pk: server for server in group.servers.all()}
        server = servers.get(each["server"])
        word = state_label(each["shown_state"])
        where = f"{word}, {server}" if server else word
        lanes.append(Lane(group.name, where, str(_home(group) or ""), each["n"]))
    return sorted(lanes, key=lambda lane: (lane.group, lane.where))


def _home(group: ServerGroup) -> Server | None:
    return next((s for s in group.servers.all() if s.priority == 1 and s.register), None)


def _observed(rows: QuerySet[Any], groups: Mapping[int, ServerGroup]) -> list[Observed]:
    observed = rows.filter(line__supervision=Line.Supervision.OBSERVE).order_by()
    counted = observed.values("group").annotate(n=Count("pk"), latest=Max("expires_at"))
    told = [
        Observed(groups[each["group"]].name, each["n"], rule, each["latest"])
        for each in counted
        for rule in [behaviour.homeward(groups[each["group"]])]
    ]
    return sorted(told, key=lambda each: each.group)


def _warnings(group: ServerGroup, now: datetime) -> list[str]:
    home = _home(group)
    if home is None:
        return []
    known = queries.server_condition(home.health.all(), now)
    told = [] if known["condition"] == "up" else [known["word"]]
    told += [said for said in [queries.server_trouble(home, now)["trouble"]] if said]
    return [f"{home}, the primary of {group.name}: {word.rstrip('.')}." for word in told]


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
