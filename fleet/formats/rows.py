"""What a file says: sites, groups, handsets. None means: the file does not say.

What a file leaves out stays as it is; something new gets its default.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from fleet.formats.dns_cache import DnsRow
from fleet.formats.faults import Fault, Place
from fleet.formats.policy import Value


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value stands in handset configuration."""

    file: str
    row: int | None
    parameter: str
    """As it is written there."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A parameter that says nothing about registration; its value may be a secret and is not kept.

    `source` is where it stands first, `count` in how many files.
    """

    source: Source
    count: int


@dataclass(frozen=True, slots=True)
class SiteRow:
    place: Place
    name: str
    time_zone: str | None = None
    has_own_workers: bool | None = None
    wrong: Set[str] = frozenset()
    """Fields that were given and could not be read: faults are known, nothing is missing."""


@dataclass(frozen=True, slots=True)
class ServerRow:
    address: str
    port: int = 5060
    transport: str = "udp"
    name: str | None = None
    register: bool | None = None
    lost_features: tuple[str, ...] | None = None
    tls_name: str | None = None


@dataclass(frozen=True, slots=True)
class GroupRow:
    place: Place
    name: str
    mode: str | None = None
    servers: tuple[ServerRow, ...] | None = None
    """In order, the primary first; a list replaces the group's servers."""
    policy: Mapping[str, Value] = field(default_factory=dict)
    dns_cache: tuple[DnsRow, ...] | None = None
    """The group's own DNS records; a list replaces them."""
    supervision: str | None = None
    """For the handsets of the same import that do not name theirs."""
    wrong: Set[str] = frozenset()
    tls_ca: str | None = None
    tls_certificate: str | None = None
    sources: Mapping[str, Source] = field(default_factory=dict, compare=False)
    """Of values out of handset configuration, by field."""
    unknown: tuple[Unknown, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class HandsetRow:
    """One line of one handset."""

    place: Place
    mac: str
    line: int = 1
    name: str | None = None
    model: str | None = None
    group: str | None = None
    site: str | None = None
    tags: tuple[str, ...] | None = None
    extension: str | None = None
    domain: str | None = None
    auth_user: str | None = None
    auth_password: str | None = field(default=None, repr=False)
    supervision: str | None = None
    wrong: Set[str] = frozenset()
    is_live: bool = False
    """Of a device that registers by itself: its address must not be bound by Rollcall unasked."""
    sources: Mapping[str, Source] = field(default_factory=dict, compare=False)
    """Of values out of handset configuration, by field."""

    @property
    def key(self) -> tuple[str, int]:
        return self.mac, self.line


@dataclass(frozen=True, slots=True)
class FleetRows:
    """Everything that one or several files say."""

    sites: tuple[SiteRow, ...] = ()
    groups: tuple[GroupRow, ...] = ()
    handsets: tuple[HandsetRow, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sites or self.groups or self.handsets)

    @classmethod
    def joined(cls, parts: Iterable["FleetRows"]) -> "FleetRows":
        given = list(parts)
        return cls(
            tuple(row for part in given for row in part.sites),
            tuple(row for part in given for row in part.groups),
            tuple(row for part in given for row in part.handsets),
        )


@dataclass(slots=True)
class Read:
    """What files say, what is wrong with them, and what is worth knowing though nothing is."""

    rows: FleetRows = field(default_factory=FleetRows)
    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    """Parameters of handset configuration that say nothing about registration."""
