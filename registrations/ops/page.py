"""The page about Rollcall itself: its parts, its work, its figures, as of now."""

import time
from typing import Any

from django.utils import timezone

from fleet.build import BUILD
from registrations import vitals
from registrations.ops import figures, parts
from registrations.queries import load


def shown() -> dict[str, Any]:
    """Return everything the page shows. Without Redis what it knows is unknown, since when."""
    now, began = timezone.now(), time.monotonic()
    found: vitals.Vitals | vitals.Unavailable
    try:
        found = vitals.read()
    except vitals.Unavailable as error:
        found = error
    known = [
        parts.database(),
        parts.redis(found, time.monotonic() - began),
        *(parts.of_kind(kind, found) for kind in parts.NAMES),
    ]
    workers = [] if isinstance(found, vitals.Unavailable) else found.of("worker")
    lost = [process for process in workers if not process.is_fresh]
    state, sentence = parts.verdict(known, lost)
    return {
        "state": state,
        "sentence": sentence,
        "parts": known,
        "workers": [parts.worker(process) for process in workers],
        "builds": {process.facts.get("build") for process in workers if process.is_fresh},
        "build": BUILD,
        "queues": load.queues(now),
        "jobs": sum(load.jobs_open().values()),
        "exports": load.exports_kept(),
        **_told(found),
        "read_at": timezone.now(),
    }


def _told(found: vitals.Vitals | vitals.Unavailable) -> dict[str, Any]:
    if isinstance(found, vitals.Unavailable):
        return {"unknown_since": parts.moment(found.since)}
    open_now = (web.facts["sockets"] for web in found.of("web") if web.is_fresh)
    return {"figures": figures.of(found), "sockets": sum(open_now)}
