"""All that is counted, one line each. Adding costs under a microsecond and never waits.

Labels are of few values: servers and sites by id, causes, words of ours. Never a handset, never
what a peer wrote.
"""

import threading
from bisect import bisect_left
from collections import Counter as Sums
from collections.abc import Callable, Sequence

Key = tuple[str, ...]
"""A name, its labels' values and, of a histogram, the bucket's number or `sum`."""

SUM = "sum"

takers: list[Callable[[], None]] = []
"""Who sees to it that what was added is taken (`sending`); called after each."""

_lock = threading.Lock()
_added: Sums[Key] = Sums()


class Counter:
    """Something that only grows."""

    def __init__(self, name: str, told: str, *labels: str) -> None:
        self.name, self.told, self.labels = name, told, labels
        ALL[name] = self

    def add(self, *values: object, n: float = 1) -> None:
        """Count `n` more, under one value for each label."""
        key = (self.name, *map(str, values))
        with _lock:
            _added[key] += n  # type: ignore[assignment]
        _tell_takers()


class Histogram:
    """How often what was seen lay within which bounds (upper ones, inclusive), and its sum."""

    def __init__(self, name: str, told: str, *labels: str, bounds: tuple[float, ...]) -> None:
        self.name, self.told, self.labels, self.bounds = name, told, labels, bounds
        ALL[name] = self

    def observe(self, value: float, *values: object) -> None:
        """Take one more value."""
        self.observe_all((value,), *values)

    def observe_all(self, seen: Sequence[float], *values: object) -> None:
        """Take so many more values, all under the same labels."""
        key = (self.name, *map(str, values))
        within = Sums(bisect_left(self.bounds, value) for value in seen)
        with _lock:
            for bucket, n in within.items():
                _added[*key, str(bucket)] += n
            _added[*key, SUM] += sum(seen)  # type: ignore[assignment]
        _tell_takers()


ALL: dict[str, Counter | Histogram] = {}

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500)

TRANSITIONS = Counter("transitions", "Changes of (state, server) written to the history.", "cause")
REGISTERS = Counter("registers", "REGISTERs that left, without their retransmissions.", "server")
ANSWERS = Counter(
    "register_answers",
    "How REGISTERs ended: the class of the final answer, timeout, network (no way there).",
    "server",
    "answer",
)
ROUND_TRIP = Histogram(
    "register_round_trip_seconds",
    "From a REGISTER's first sending to its final answer.",
    "server",
    bounds=_SECONDS,
)
PROBES = Counter("probes", "Probes of servers that ended: answered, missed.", "server", "end")
CLAIMS = Counter("claims", "Registrations claimed by workers.", "site")
CLAIMS_AGAIN = Counter(
    "claims_again",
    "Of those, taken again without a result of the claim before: its lease ran out, or its "
    "worker stopped.",
    "site",
)
BEGUN_ANEW = Counter(
    "agents_begun_anew",
    "Agents that failed or came to no end, by who saw it: their worker, or the watch.",
    "seen_by",
)
LEASES_LOST = Counter(
    "leases_lost", "Registrations a worker let go because their lease was over or lost.", "why"
)
FLUSH_ROWS = Histogram("flush_rows", "Results per write to the database.", bounds=_ROWS)
FLUSH_SECONDS = Histogram("flush_seconds", "How long such a write took.", bounds=_SECONDS)
FLUSH_FAILURES = Counter("flush_failures", "Writes of results that failed; they are tried again.")
TRACES_LOST = Counter("traces_lost", "Tries that could not be kept for the traces.")
SOCKETS_DROPPED = Counter("sockets_dropped", "Live sockets closed by us: slow, failed.", "why")
NOTIFICATIONS = Counter(
    "notifications", "What handsets reported of themselves, by kind; reports not taken.", "kind"
)
LIVE_GAPS = Counter("live_gaps", "Gaps in the live messages, each healed by reading all again.")


def _tell_takers() -> None:
    for taker in takers:
        taker()


def take() -> dict[Key, float]:
    """Return what was added since the last time: it is the caller's now."""
    global _added
    with _lock:
        taken, _added = _added, Sums()
    return dict(taken)
