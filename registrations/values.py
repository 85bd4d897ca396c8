"""The words the pure rooms share: targets, accounts, policies, outcomes. No behaviour, no I/O.

Times are Unix seconds as float, durations seconds as float, unless a name ends in `_ms`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from registrations.records import record

HostPort = tuple[str, int]
"""Where a machine listens, whatever the transport."""


@dataclass(frozen=True, slots=True)
class Target:
    """One address of one server: where a request is sent (RFC 3263 section 4)."""

    server_id: int
    address: str
    port: int
    transport: str = "udp"
    tls_name: str = ""
    """The name its certificate must bear: the configured one, never a name found in DNS."""
    tls_ca: str = field(default="", repr=False, compare=False)
    """PEM of the authority its group pins; '' trusts those the system knows."""
    tls_certificate: str = field(default="", repr=False, compare=False)
    """PEM of the one certificate its group accepts from it; '' accepts none unseen."""
    ttl: int | None = field(default=None, compare=False)
    """Seconds DNS stands by it: the least of the records that led here; None: no name led here."""
    rank: int = field(default=0, compare=False)
    """Its place among the records of one name; targets of one rank may stand in any order."""

    @property
    def place(self) -> tuple[str, str, int]:
        """Where it listens. Servers of several groups may be one machine: that fails for all."""
        return self.transport, self.address, self.port

    @property
    def host_port(self) -> HostPort:
        """Who asks to be left alone: one place of a server's name, for all who name it."""
        return self.address, self.port

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@record
class Account:
    """Who registers: the address of record and its credentials."""

    user: str
    domain: str
    auth_user: str
    password: str = field(repr=False)
    instance: str
    """`urn:uuid:...`, stable per handset and line (RFC 5626 section 4.1)."""

    @property
    def aor(self) -> str:
        return f"sip:{self.user}@{self.domain}"


class GroupMode(StrEnum):
    FAILOVER = "failover"
    FALLBACK = "fallback"


class FailBackMode(StrEnum):
    NEW_REQUESTS = "new_requests"
    DNS_TTL = "dns_ttl"
    REGISTRATION = "registration"
    DURATION = "duration"


class ListScope(StrEnum):
    """Which list says that a server is the last one (redundancy 1.4; not settled by the guide)."""

    OWN_GROUP = "own_group"
    ALL = "all"


class OnMassRejection(StrEnum):
    STAY = "stay"
    FAILOVER = "failover"


@dataclass(frozen=True, slots=True)
class Policy:
    """A group's policy, field by field as in the fleet file. Defaults are the 84-Series guide's."""

    expires: int = 3600
    expires_overlap: int = 60
    retry_max_count: int = 3
    retry_timeout: int = 0
    register_retry_base: int = 60
    register_retry_max: int = 60
    re_register_on: bool = False
    fail_registration_on: bool = False
    only_signal_with_registered: bool = True
    fail_back_mode: FailBackMode = FailBackMode.REGISTRATION
    fail_back_timeout: int = 3600
    fast_failover: bool = False
    shares_registrations: bool = False
    max_registrations_per_second: int = 200
    # What the handset's guide leaves open, or ours: settings, not constants.
    failover_on_503: bool = True
    failover_on_408: bool = True
    retry_waits_after_last: bool = True
    """Give up one wait after the last retry (True) or with the last retry (False)."""
    register_list_scope: ListScope = ListScope.OWN_GROUP
    tcp_fast_failover: bool = False
    """Use retry_max_count and retry_timeout on TCP and TLS too, instead of 32 s."""
    on_mass_rejection: OnMassRejection = OnMassRejection.STAY
    refuse_md5: bool = False
    observe_every: int = 60
    """Seconds between two looks at a handset that is only observed."""


@dataclass(frozen=True, slots=True)
class News:
    """What the fleet knows of a line's servers when its agent starts."""

    silent: Mapping[int, float] = field(default_factory=dict)
    """Servers that answer nobody at this site, and by when that was last seen."""
    sick: frozenset[int] = frozenset()
    """Servers that refuse handsets they accepted before."""
    paused: Mapping[HostPort, float] = field(default_factory=dict)
    """Places that asked to be left alone (503 with Retry-After), and until when."""
    drained: Mapping[int, float] = field(default_factory=dict)
    """Servers that are to hold nobody (maintenance), and until when at least."""
    stays_until: float = 0.0
    """Until when this line goes home only by an order: no-failback hours, or a job's turn."""
    clock_set: float = 0.0
    """By how many seconds the clock was set since the line's times were kept."""

    @property
    def is_quiet(self) -> bool:
        """Nothing is known that would make a line do other than by itself."""
        return not (self.silent or self.sick or self.paused or self.drained or self.stays_until)


QUIET = News()


class Verdict(StrEnum):
    """How one attempt to register at one target ended."""

    BOUND = "bound"
    """2xx that lists our Contact with an expiry above zero."""
    REFUSED = "refused"
    """Credentials or AOR refused: 401/407 to fresh credentials, 403, 404 (D2, D3)."""
    BUSY = "busy"
    """503: the target asks to be left alone; `retry_after` says how long, if it said."""
    ERROR = "error"
    """Any other final answer: alive, but no binding came of it."""
    SILENT = "silent"
    """No final answer within the transaction's time (counts as 408, R20)."""
    UNREACHABLE = "unreachable"
    """The transport failed: ICMP, connection refused, send failed (counts as 503, R20)."""


@record
class ListedContact:
    """One Contact of a 2xx to REGISTER."""

    uri: str
    expires: int | None
    instance: str = ""


@record
class Outcome:
    """What one attempt at one target came to."""

    verdict: Verdict
    started_at: float
    ended_at: float
    code: int | None = None
    answer: str = ""
    """The raw status line's code and reason ("403 Forbidden"), '' where nothing came."""
    sentence: str = ""
    """The same for an admin: "The server refused the password (403 Forbidden)."."""
    expires: int | None = None
    """Granted seconds, for BOUND."""
    retry_after: int | None = None
    others: tuple[ListedContact, ...] = ()
    """Contacts in the 2xx that are not ours."""
    seen_as: str = ""
    """With BOUND: whence the server saw the request come, where that is not our own socket (N2)."""
    with_credentials: bool = False
    """Whether the request that was answered carried credentials."""
    asked_at: float | None = None
    """With SILENT: when the request left for the last time, unanswered."""
