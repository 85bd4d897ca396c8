"""The parts of an installation as the page about Rollcall itself shows them."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from registrations.vitals import Process, Unavailable, Vitals

UP, SILENT, UNKNOWN = "up", "silent", "unknown"

MISSED = {
    "worker": "Nothing registers or renews: bindings run out one after the other.",
    "beat": "Nobody looks for what falls due: renewals stop within seconds.",
    "answerer": "Calls and checks that servers send to Rollcall's Contacts go unanswered.",
}
"""What it means that a part is not there."""

NAMES = {"worker": "Workers", "beat": "Beat", "answerer": "SIP answerer", "web": "Web processes"}
NORMAL = {
    "worker": "Each is heard every second.",
    "beat": "Heard every second. Two do no harm; one is enough.",
    "answerer": "Heard every second.",
    "web": "Told only by those that serve a live page.",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its state, since when it is not well (None: it is), and what that means."""

    name: str
    state: str
    word: str
    normal: str
    told: str = ""
    since: datetime | None = None
    trouble: str = ""


def moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def database() -> Part:
    """The database: whoever sees this page has been looked up in it."""
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    took = (time.monotonic() - began) * 1000
    version = ".".join(map(str, connection.get_database_version()))
    return Part(
        "Database",
        UP,
        "Answers",
        "The shortest question is answered within 10 ms.",
        f"{connection.display_name} {version}; {took:.1f} ms just now",
    )


def redis(found: Vitals | Unavailable, took: float) -> Part:
    normal = "All that this page counts is read within 20 ms."
    if isinstance(found, Unavailable):
        return Part(
            "Redis",
            SILENT,
            "Does not answer",
            normal,
            since=moment(found.since),
            trouble="Hints, live pages and these figures need it. Work goes on when it is back.",
        )
    info = found.redis
    used = info.get("used_memory_human", "?")
    told = f"Redis {info.get('redis_version', '?')}; {used} used; {took * 1000:.1f} ms just now"
    return Part("Redis", UP, "Answers", normal, told)


def of_kind(kind: str, found: Vitals | Unavailable) -> Part:
    """All processes of a kind as one part: there if any is, since it is the work that counts."""
    name, normal = NAMES[kind], NORMAL[kind]
    if isinstance(found, Unavailable):
        return Part(name, UNKNOWN, "Unknown", normal, since=moment(found.since))
    processes = found.of(kind)
    fresh = [process for process in processes if process.is_fresh]
    if fresh:
        return Part(name, UP, _there(len(fresh)), normal, _names(fresh))
    if kind == "web":
        return Part(name, UP, "None", normal, "Nobody looks at a live page.")
    last = max(processes, key=lambda process: process.heard_at, default=None)
    began = found.now - float(found.redis.get("uptime_in_seconds", 0))
    since = moment(last.heard_at if last is not None else began)
    told = f"{last.name} was the last" if last is not None else "Since Redis was started"
    return Part(name, SILENT, "Not heard", normal, told, since, MISSED[kind])


def verdict(parts: Sequence[Part], lost: Sequence[Process]) -> tuple[str, str]:
    """Return a state and one sentence about all of it."""
    bad = [part.name for part in parts if part.state == SILENT]
    if bad:
        return SILENT, f"Not heard: {_list(bad)}."
    if lost:
        return "secondary", f"All parts answer, but {_list(p.name for p in lost)} is missed."
    return UP, "All parts answer."


def _there(n: int) -> str:
    return "Heard" if n == 1 else f"{n} heard"


def _names(processes: Iterable[Process]) -> str:
    return ", ".join(process.name for process in processes)


def _list(names: Iterable[str]) -> str:
    *first, last = list(names) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def worker(process: Process) -> dict[str, Any]:
    """A worker as a row of the page; what it said before it fell silent is not shown as now."""
    facts = process.facts
    row: dict[str, Any] = {
        "name": process.name,
        "site": facts.get("site") or "",
        "state": UP if process.is_fresh else SILENT,
        "heard_at": moment(process.heard_at),
        "build": facts.get("build", ""),
        "started_at": moment(facts["started_at"]),
    }
    if process.is_fresh:
        row |= {key: facts[key] for key in ("in_flight", "room", "results_waiting")}
    return row
