"""The text of `/metrics`. Whoever asks too often is given what the last one was given.

The sum of the fleet is the one dear question (0.2 s over 100,000 handsets): it is asked again only
when SHARE of the time since would pay for it, and says how old it is.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import Error as DatabaseError
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric

from registrations import queries, vitals
from registrations.ops import families
from registrations.queries import load

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
KEPT_S = 1.0
SHARE = 0.05

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sum:
    """The fleet as it was summed at `at`, which took `took` seconds."""

    summary: dict[str, Any]
    proofs: Mapping[int, Mapping[str, int]]
    """By server, how many lines it has by proof."""
    at: float
    took: float

    def is_worth_keeping(self, now: float) -> bool:
        return now - self.at < max(KEPT_S, self.took / SHARE)


class Metrics:
    """What this web process last told, and the sum it told it of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text = b""
        self._at = float("-inf")
        self._sum: Sum | None = None
        self._names = families.Names([], [])
        """As last known: a database that is away takes no count with it."""

    def text(self) -> bytes:
        """Return the metrics, at most KEPT_S old. Never raises because a store is away."""
        with self._lock:
            if time.monotonic() - self._at >= KEPT_S:
                registry = CollectorRegistry(auto_describe=False)
                registry.register(_Found(list(self._families())))
                self._text, self._at = generate_latest(registry), time.monotonic()
            return self._text

    def _families(self) -> Iterator[Metric]:
        try:
            stored = list(self._stored())
        except DatabaseError as error:
            logger.warning("metrics without the database: %s", type(error).__name__)
            stored = []
        try:
            told = vitals.read()
        except vitals.Unavailable:
            told = None
        yield from families.reachable(bool(stored), told is not None)
        yield from stored
        if told is not None:
            yield from families.processes(told)
            yield from families.counted(told, self._names)

    def _stored(self) -> Iterator[Metric]:
        """What the database knows. Raises DatabaseError."""
        now = time.monotonic()
        if self._sum is None or not self._sum.is_worth_keeping(now):
            at = timezone.now()
            summary, proofs = queries.summary(at), queries.proof_counts(at)
            self._sum = Sum(summary, proofs, now, time.monotonic() - now)
        waiting = load.queues(timezone.now())
        self._names = families.Names(self._sum.summary["groups"], waiting)
        yield from families.fleet(self._sum.summary, now - self._sum.at)
        yield from families.proofs(self._sum.proofs, self._names)
        yield from families.work(waiting, load.jobs_open(), load.exports_kept())


class _Found:
    """Metrics at hand, as the client library wants them to be collected."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> list[Metric]:
        return self._found


_metrics = Metrics()


def text() -> bytes:
    """Return this process's metrics."""
    return _metrics.text()
