"""What is known at one moment of servers, sites, handsets, proofs and Rollcall's own parts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class ServerFact:
    """One server that is silent from somewhere or refuses handsets it accepted before.

    A machine that serves several groups is one server: `merged` puts its rows together.
    """

    id: int
    place: str
    """Its address and port."""
    name: str
    groups: tuple[str, ...]
    silent: Mapping[str, float] = field(default_factory=dict)
    """Since when, by the names of the sites that hear nothing of it."""
    asked: frozenset[str] = frozenset()
    """The names of the sites that ask it."""
    sick_since: float | None = None
    refused: int = 0
    """Handsets it had refused when it was found sick."""
    held: int = 0
    """Handsets whose binding it holds at the sites where it is silent."""
    calls_it_home: int = 0
    """Handsets of its groups at those sites."""
    others_answer: bool = True
    """Another server answers, in each of its groups."""
    lapsing: int = 0
    """How many of those bindings end within `horizon_s`."""
    horizon_s: float = 0.0


def merged(servers: Iterable[ServerFact]) -> list[ServerFact]:
    """Put together what is one machine at one place."""
    found: dict[str, ServerFact] = {}
    for each in servers:
        before = found.get(each.place)
        found[each.place] = each if before is None else _both(before, each)
    return list(found.values())


def _both(one: ServerFact, other: ServerFact) -> ServerFact:
    silent = dict(one.silent)
    for site, since in other.silent.items():
        silent[site] = min(since, silent.get(site, since))
    sick = [each.sick_since for each in (one, other) if each.sick_since is not None]
    return replace(
        one,
        groups=tuple(sorted({*one.groups, *other.groups})),
        silent=silent,
        asked=one.asked | other.asked,
        sick_since=min(sick, default=None),
        refused=one.refused + other.refused,
        held=one.held + other.held,
        calls_it_home=one.calls_it_home + other.calls_it_home,
        others_answer=one.others_answer and other.others_answer,
        lapsing=one.lapsing + other.lapsing,
    )


@dataclass(frozen=True, slots=True)
class SiteFact:
    """A site whose own network is suspected."""

    id: int
    name: str
    suspected_since: float
    groups: tuple[str, ...] = ()
    handsets: int = 0


@dataclass(frozen=True, slots=True)
class Unserved:
    """Handsets of one group at one site whom no server takes, in one state."""

    group_id: int
    group: str
    site_id: int
    site: str
    is_refused: bool
    """Refused, not merely unanswered."""
    count: int
    of: int
    """Handsets of that group at that site."""
    since: float
    """Since when there are more than FEW, or one where there are not."""
    named: tuple[tuple[int, str, float, str], ...] = ()
    """Registration, handset, since and reason of each where they are at most FEW, and else of those
    that are an incident of their own already."""


@dataclass(frozen=True, slots=True)
class ProcessFact:
    """A worker or beat that is not heard, and whether others do its work."""

    kind: str
    site: str
    """Whose queue it works for; '' for the shared one."""
    names: tuple[str, ...]
    since: float
    others: int = 0
    """How many of the same kind and site are heard."""


@dataclass(frozen=True, slots=True)
class ProofFact:
    """Handsets a server would have taken and would not take any more."""

    server_id: int
    place: str
    server: str
    groups: tuple[str, ...]
    sites: tuple[str, ...]
    lost: int
    of: int
    since: float


@dataclass(frozen=True, slots=True)
class FlapFact:
    """Handsets of one site that changed their place again and again of late."""

    site_id: int
    site: str
    groups: tuple[str, ...]
    handsets: int
    of: int
    most_changes: int
    within_s: float
    since: float
    one: tuple[int, str] | None = None
    """The registration and the handset, where it is one alone."""


@dataclass(frozen=True, slots=True)
class DrillFact:
    """Handsets that a drill moved, and that are not back on their primary after it."""

    id: int
    away: int
    moved: int
    since: float
    """When the drill was over."""
    groups: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. What could not be looked at is in `blind`: nothing of that is opened or closed."""

    servers: tuple[ServerFact, ...] = ()
    sites: tuple[SiteFact, ...] = ()
    unserved: tuple[Unserved, ...] = ()
    processes: tuple[ProcessFact, ...] = ()
    proofs: tuple[ProofFact, ...] = ()
    flaps: tuple[FlapFact, ...] = ()
    drills: tuple[DrillFact, ...] = ()
    blind: frozenset[str] = frozenset()
    """Kinds of incidents."""
