"""What happens to whom: the sites, their policies, and when their servers die and return."""

from dataclasses import dataclass, field

from registrations.values import (
    FailBackMode,
    GroupMode,
    OnMassRejection,
    Policy,
)

OK, SILENT, DEAD = "ok", "silent", "dead"
BUSY, REFUSING, FORGETS = "503 Service Unavailable", "403 Forbidden", "forgets"
BUSY_S = 120
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Episode:
    """One server is not well from `start` to `end`, seconds from the beginning."""

    server: int
    start: float
    end: float
    mood: str


@dataclass(frozen=True, slots=True)
class Site:
    """One site: a group of servers and the handsets that register there."""

    name: str
    policy: Policy
    mode: GroupMode = GroupMode.FAILOVER
    servers: int = 2
    ttl: int | None = None
    nonce_s: float = 1e9
    """How long a server takes a nonce: with a short one every renewal costs two requests."""
    refuses: bool = False
    share: float = 1.0
    """Of the fleet, beside the other sites' shares."""
    handsets: int = 0
    seed: int = 0
    hours: float = 24.0
    episodes: tuple[Episode, ...] = field(default=())


def sites() -> list[Site]:
    """The policies the handset's guide knows, one site each."""
    duration = FailBackMode.DURATION
    return [
        Site("registration", Policy()),
        Site("nonces of 5 min", Policy(), nonce_s=300),
        Site("duration 600", Policy(fail_back_mode=duration, fail_back_timeout=600)),
        Site("duration 0", Policy(fail_back_mode=duration, fail_back_timeout=0)),
        Site("new requests", Policy(fail_back_mode=FailBackMode.NEW_REQUESTS)),
        Site("DNS TTL 300", Policy(fail_back_mode=FailBackMode.DNS_TTL), ttl=300),
        Site("fast failover", Policy(fast_failover=True, re_register_on=True)),
        # A fallback entry that is down is tried every 30-60 s without end: a tenth of all requests.
        Site("fallback list", Policy(), mode=GroupMode.FALLBACK, share=0.2),
        Site("three servers", Policy(retry_timeout=500), servers=3),
        Site("refusing", Policy(on_mass_rejection=OnMassRejection.FAILOVER), refuses=True),
    ]


def episodes(site: Site, shift: float) -> tuple[Episode, ...]:
    """A hard day, each site's shifted by some seconds."""
    last, scale = site.servers - 1, site.hours / 24

    def at(hour: float, server: int, seconds: float, mood: str) -> Episode:
        start = hour * HOUR * scale + shift
        return Episode(server, start, start + seconds, mood)

    day = [
        at(2, 0, 900, SILENT),
        at(5, 0, 5400, DEAD),
        *(at(9, server, 1200, SILENT) for server in range(site.servers)),
        at(11, last, 1800, DEAD),
        *(at(13 + 90 * turn / HOUR / scale, 0, 40, SILENT) for turn in range(8)),
        at(15, 0, 600, BUSY),
        at(17, 0, 1, FORGETS),
        *(at(19, server, 600, DEAD) for server in range(site.servers)),
        at(21, 0, 7200, SILENT),
    ]
    if site.refuses:
        day.append(at(7.5, 0, 600, REFUSING))
    return tuple(sorted(day, key=lambda each: (each.start, each.server)))
