"""Workers and beats that are not heard, as facts."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from registrations import vitals
from registrations.incidents.facts import ProcessFact
from registrations.incidents.limits import BEAT_SILENT, WORKER_SILENT

YOUNG_S = 60.0
"""A Redis begun so lately has not heard of everybody yet."""


def silent_parts(now: datetime) -> tuple[list[ProcessFact], frozenset[str]]:
    """Return who is not heard, and the kinds of incidents of which nothing can be told.

    Without Redis nobody is heard, and nobody is known to be silent.
    """
    try:
        found = vitals.read()
    except vitals.Unavailable:
        return [], frozenset({WORKER_SILENT, BEAT_SILENT})
    # By Redis' clock; ages are what counts.
    ahead = now.timestamp() - found.now
    uptime = float(found.redis.get("uptime_in_seconds", 0))
    if uptime < YOUNG_S:
        return [], frozenset({WORKER_SILENT, BEAT_SILENT})
    facts = [fact for kind in ("worker", "beat") for fact in _of(kind, found, ahead)]
    return facts, frozenset()


def _of(kind: str, found: vitals.Vitals, ahead: float) -> Iterator[ProcessFact]:
    by_site: dict[str, list[vitals.Process]] = defaultdict(list)
    for process in found.of(kind):
        by_site[str(process.facts.get("site") or "")].append(process)
    if not by_site:
        began = found.now - float(found.redis.get("uptime_in_seconds", 0))
        yield ProcessFact(kind, "", (), max(began, found.left.get(kind, 0.0)) + ahead)
    for site, processes in by_site.items():
        lost = [process for process in processes if not process.is_fresh]
        # One beat is enough, and a second one is not missed.
        if lost and (kind == "worker" or len(lost) == len(processes)):
            yield ProcessFact(
                kind,
                site,
                tuple(process.name for process in lost),
                min(process.heard_at for process in lost) + ahead,
                len(processes) - len(lost),
            )
