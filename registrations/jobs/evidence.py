"""What a drill leaves behind: who went, who came home, how long each took; under one hash.

The text is canonical JSON (keys in order, no blanks), so that whoever has it can hash it again.
"""

import json
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from registrations import queries
from registrations.jobs.scopes import words
from registrations.models import Drill, Job, JobResult

Result = JobResult.Result
HOME = frozenset({Result.MOVED.value, Result.ALREADY_THERE.value})


def of(drill: Drill) -> tuple[int, str, str]:
    """Return how many did not come home, the evidence, and its SHA-256 in hexadecimal."""
    away, home = _results(drill.away), _results(drill.home)
    back = {key: each for key, each in home.items() if each["result"] in HOME}
    left = [key for key, each in away.items() if each["result"] == Result.MOVED and key not in back]
    told = {
        "drill": drill.pk,
        "scope": words([drill.scope])[0],
        "sample": drill.sample,
        "minutes": drill.minutes,
        "asked_by": drill.asked_by,
        "ended_by": drill.ended_by,
        "began_at": queries.moment(drill.created_at),
        "away_at": _end(drill.away),
        "called_home_at": queries.moment(drill.home.created_at) if drill.home else None,
        "finished_at": queries.moment(drill.finished_at),
        "away": _sums(away.values()),
        "home": _sums(home.values()),
        "stopped": drill.away.abort_reason if drill.away else "",
        "stragglers": [f"{mac} {extension}" for mac, extension in left],
        "handsets": [
            {"mac": mac, "extension": extension, "away": each, "home": home.get((mac, extension))}
            for (mac, extension), each in away.items()
        ],
    }
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return len(left), text, sha256(text.encode()).hexdigest()


def _results(job: Job | None) -> dict[tuple[str, str], dict[str, Any]]:
    if job is None:
        return {}
    fields = ("mac", "extension", "group__name", "result", "reason", "seconds", "finished_at")
    return {
        (mac, extension): {
            "group": group or "",
            "result": result,
            "reason": reason,
            "seconds": None if seconds is None else round(seconds, 3),
            "at": queries.moment(at),
        }
        for mac, extension, group, result, reason, seconds, at in job.results.order_by(
            "mac", "extension"
        ).values_list(*fields)
    }


def _sums(results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    found = list(results)
    moved = (each["seconds"] for each in found if each["result"] == Result.MOVED)
    took = sorted(seconds for seconds in moved if seconds is not None)
    return {
        **dict(sorted(Counter(each["result"] for each in found).items())),
        "seconds": {
            "median": _share(took, 0.5),
            "of_95_percent": _share(took, 0.95),
            "longest": took[-1] if took else None,
        },
    }


def _share(took: list[float], share: float) -> float | None:
    """Return within how many seconds that share of them had an answer."""
    return took[max(0, -(-int(len(took) * share * 1000) // 1000) - 1)] if took else None


def _end(job: Job | None) -> str | None:
    return queries.moment(job.finished_at) if job is not None else None
