"""The health of servers over time, from their history and what is known now: spells that tile it.

Where nobody asked there is a spell of *unknown*, never one of health.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Q

from fleet.models import Server
from registrations import queries
from registrations.models import ServerChange, ServerHealth
from registrations.shown.behaviour import duration, listed

What = ServerChange.What
WORST_FIRST = (What.SILENT, What.UNKNOWN, What.UP)
"""What a server is over all sites: silent where one hears nothing, known where all know."""

KEY = [
    (What.UP, "Answered"),
    (What.SILENT, "Silent"),
    (What.SICK, "Refused many"),
    (What.PAUSED, "Left alone at its wish"),
    (What.UNKNOWN, "Nobody asked"),
]
"""How a legend says it."""

WIDTH, HEIGHT = 1000, 20
LEAST_WIDTH = 1.5
"""The shortest silence is seen too."""


@dataclass(frozen=True, slots=True)
class Spell:
    """One state that lasted from `since` to `until`."""

    state: str
    since: datetime
    until: datetime

    @property
    def seconds(self) -> float:
        return (self.until - self.since).total_seconds()

    def words(self, zone: str) -> str:
        """What it was, from when to when, and how long."""
        begun, over = (queries.clock(at, zone) for at in (self.since, self.until))
        return f"{What(self.state).label}: {begun} to {over} ({_about(self.seconds)})"


@dataclass(frozen=True, slots=True)
class Piece:
    """A spell as a rectangle in a drawing of WIDTH x HEIGHT."""

    state: str
    x: str
    width: str
    y: int
    height: int
    words: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One server over a span of time, from one site or from all."""

    site: str
    """Its name; '' for all sites together."""
    spells: list[Spell]
    """They tile the span: up, silent, unknown."""
    troubles: list[Spell]
    """Sickness and pauses, whatever it answered meanwhile."""
    zone: str
    """In which its times are said."""

    @property
    def told(self) -> str:
        """The lane in words."""
        silent = [spell for spell in self.spells if spell.state == What.SILENT]
        unseen = [spell for spell in self.spells if spell.state == What.UNKNOWN]
        said = []
        if silent:
            said.append(f"silent {_times(silent)}")
        if unseen:
            said.append(f"not asked {_times(unseen)}")
        for state, words in ((What.SICK, "refusing"), (What.PAUSED, "left alone at its wish")):
            if spells := [spell for spell in self.troubles if spell.state == state]:
                said.append(f"{words} {_times(spells)}")
        if not silent and len(unseen) < len(self.spells):
            said.insert(0, "never silent")
        return f"{listed(said)[0].upper()}{listed(said)[1:]}."

    @property
    def pieces(self) -> list[Piece]:
        """The lane as a drawing; troubles lie over the lower part of what it answered."""
        since, until = self.spells[0].since, self.spells[-1].until
        whole = (until - since).total_seconds()
        return [
            Piece(
                state=spell.state,
                x=f"{WIDTH * (spell.since - since).total_seconds() / whole:.2f}",
                width=f"{max(WIDTH * spell.seconds / whole, LEAST_WIDTH):.2f}",
                y=y,
                height=HEIGHT - y,
                words=spell.words(self.zone),
            )
            for spells, y in ((self.spells, 0), (self.troubles, 12))
            for spell in spells
        ]


def _times(spells: Sequence[Spell]) -> str:
    lasted = _about(sum(spell.seconds for spell in spells))
    return f"for {lasted}" + (f" in {len(spells)} spells" if len(spells) > 1 else "")


def _about(seconds: float) -> str:
    """A length of time, to the minute where it is long."""
    whole = max(1, round(seconds))
    return duration(whole if whole < 600 else round(whole / 60) * 60)


def lanes(
    servers: Iterable[Server], since: datetime, until: datetime, zone: str
) -> dict[int, list[Lane]]:
    """Return by server one lane per site that knows of it, by name. Two queries.

    `servers` come with their `pace`.
    """
    by_id = {server.pk: server for server in servers}
    changes = ServerChange.objects.filter(
        Q(at__gte=since) | Q(until__gt=since), server__in=by_id, at__lt=until
    ).order_by("at", "pk")
    of_site: dict[tuple[int, int | None], list[ServerChange]] = defaultdict(list)
    sites: dict[tuple[int, int], str] = {}
    for change in changes:
        of_site[change.server_id or 0, change.site_id].append(change)
        if change.site_id is not None:
            sites[change.server_id or 0, change.site_id] = change.site_name
    known = {}
    for health in ServerHealth.objects.filter(server__in=by_id).select_related("site"):
        known[health.server_id, health.site_id] = health
        sites[health.server_id, health.site_id] = health.site.name
    found: dict[int, list[Lane]] = {pk: [] for pk in by_id}
    for (server_id, site_id), name in sorted(sites.items(), key=lambda item: item[1]):
        place = (server_id, site_id)
        spells = _answering(of_site[place], known.get(place), since, until)
        trouble = _troubles(of_site[server_id, None], by_id[server_id], since, until)
        found[server_id].append(Lane(name, spells, trouble, zone))
    return found


def together(lanes: Sequence[Lane]) -> Lane | None:
    """Return what all sites know of a server as one lane; None where none does."""
    if not lanes:
        return None
    edges = sorted({edge for lane in lanes for s in lane.spells for edge in (s.since, s.until)})
    states = {
        edge: {next(s.state for s in lane.spells if s.since <= edge < s.until) for lane in lanes}
        for edge in edges[:-1]
    }
    turns = [(edge, next(w for w in WORST_FIRST if w in found)) for edge, found in states.items()]
    spells = tile(turns, What.UNKNOWN, edges[0], edges[-1])
    return Lane("", spells, lanes[0].troubles, lanes[0].zone)


def tile(
    turns: Iterable[tuple[datetime, str]], first: str, since: datetime, until: datetime
) -> list[Spell]:
    """Return the spells from `since` to `until`: `first`, and from each turn on the state it has.

    Turns come in order; what stays the same is one spell.
    """
    spells = [Spell(first, since, until)]
    for at, state in turns:
        at = min(max(at, since), until)
        spells[-1] = replace(spells[-1], until=at)
        spells.append(Spell(state, at, until))
    merged: list[Spell] = []
    for spell in spells:
        if spell.since >= spell.until:
            continue
        if merged and merged[-1].state == spell.state:
            merged[-1] = replace(merged[-1], until=spell.until)
        else:
            merged.append(spell)
    return merged


def _answering(
    changes: Sequence[ServerChange], health: ServerHealth | None, since: datetime, until: datetime
) -> list[Spell]:
    turns = [(change.at, change.what) for change in changes]
    if health is None:
        return tile(turns, changes[0].before if changes else What.UNKNOWN, since, until)
    first = changes[0].before if changes else health.condition
    if not changes and health.since > since:
        first, turns = What.UNKNOWN, [(health.since, health.condition)]
    if health.due_at < until - queries.GRACE:
        turns.append((health.due_at, What.UNKNOWN))
    return tile(sorted(turns, key=lambda turn: turn[0]), first, since, until)


def _troubles(
    changes: Sequence[ServerChange], server: Server, since: datetime, until: datetime
) -> list[Spell]:
    """Sickness and pauses in the span, each clipped to it."""
    pauses: list[Spell] = []
    sick: list[Spell] = []
    sick_since = since
    for change in changes:
        if change.what == What.PAUSED and change.until is not None:
            if pauses and change.at <= pauses[-1].until:
                pauses[-1] = replace(pauses[-1], until=max(pauses[-1].until, change.until))
            else:
                pauses.append(Spell(What.PAUSED, change.at, change.until))
        elif change.what == What.SICK:
            sick_since = change.at
        elif change.what == What.WELL:
            sick.append(Spell(What.SICK, sick_since, change.at))
    pace = getattr(server, "pace", None)
    if pace is not None and pace.sick_since is not None:
        sick.append(Spell(What.SICK, pace.sick_since, until))
    spells = [
        replace(spell, since=max(spell.since, since), until=min(spell.until, until))
        for spell in [*sick, *pauses]
    ]
    return [spell for spell in spells if spell.since < spell.until]
