"""What all processes told Redis, as it stands now. Ages are by Redis' own clock."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis
from django.conf import settings

from registrations.vitals.counters import Key
from registrations.vitals.keys import BETWEEN, COUNTS, LEFT, PROCESSES

REDIS_S = 2.0
FRESH_S = 10.0
"""A process not heard for so long is not believed to be there."""

STAND_IN_S = 3600.0
"""Who is silent for so long while another does the same work (of its site) is not missed."""


class Unavailable(Exception):
    """Redis cannot be asked; `since` (Unix seconds) is when this process first noticed."""

    def __init__(self, since: float, why: str) -> None:
        super().__init__(why)
        self.since = since


@dataclass(frozen=True, slots=True)
class Process:
    """One process, as it told of itself `age` seconds ago (at `heard_at`, Unix seconds)."""

    kind: str
    name: str
    heard_at: float
    age: float
    facts: Mapping[str, Any]

    @property
    def is_fresh(self) -> bool:
        return self.age <= FRESH_S


@dataclass(frozen=True, slots=True)
class Vitals:
    """`counts` since this Redis began, `lately` within `lately_s` seconds, `hours` since
    `hours_since` (Unix seconds; the beginning of the hour before this one)."""

    now: float
    processes: tuple[Process, ...]
    counts: Mapping[Key, float]
    lately: Mapping[Key, float] = field(default_factory=dict)
    lately_s: float = 0.0
    hours: Mapping[Key, float] = field(default_factory=dict)
    hours_since: float = 0.0
    redis: Mapping[str, Any] = field(default_factory=dict)
    left: Mapping[str, float] = field(default_factory=dict)
    """By kind: when the last process took its leave."""

    def of(self, kind: str) -> list[Process]:
        """Return the processes of a kind, without those whose place others have taken."""
        found = [process for process in self.processes if process.kind == kind]
        served = {process.facts.get("site") for process in found if process.is_fresh}
        return [
            process
            for process in found
            if process.age < STAND_IN_S or process.facts.get("site") not in served
        ]


_unreachable_since: float | None = None


def read() -> Vitals:
    """Return all there is. Raises Unavailable."""
    global _unreachable_since
    try:
        with _client() as client:
            found = _read(client)
    except (redis.RedisError, OSError, ValueError) as error:
        # ValueError: REDIS_URL names no Redis, as in a test process.
        _unreachable_since = _unreachable_since or time.time()
        raise Unavailable(_unreachable_since, type(error).__name__) from error
    _unreachable_since = None
    return found


def heard() -> tuple[Process, ...]:
    """Return the processes heard within FRESH_S. Raises Unavailable."""
    return tuple(process for process in read().processes if process.is_fresh)


def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=REDIS_S, socket_connect_timeout=REDIS_S
    )


def _read(client: redis.Redis) -> Vitals:
    seconds, micros = client.time()
    now = seconds + micros / 1e6
    minute, hour = seconds // 60, seconds // 3600
    pipeline = client.pipeline(transaction=False)
    pipeline.hgetall(PROCESSES)
    pipeline.hgetall(LEFT)
    pipeline.hgetall(COUNTS)
    for part in (f"m{minute - 1}", f"m{minute}", f"h{hour - 1}", f"h{hour}"):
        pipeline.hgetall(f"{COUNTS}:{part}")
    pipeline.info()
    told, left, counts, *parts, info = pipeline.execute()
    return Vitals(
        now=now,
        processes=tuple(_processes(told, now)),
        counts=_counts([counts]),
        lately=_counts(parts[:2]),
        lately_s=60 + now % 60,
        hours=_counts(parts[2:]),
        hours_since=(hour - 1) * 3600.0,
        redis=info,
        left={kind.decode(): float(at) for kind, at in left.items()},
    )


def _processes(told: Mapping[bytes, bytes], now: float) -> Iterable[Process]:
    for process, said in sorted(told.items()):
        kind, _, name = process.decode().partition(BETWEEN)
        at, _kept, facts = said.decode().split("|", 2)
        yield Process(kind, name, float(at), max(0.0, now - float(at)), json.loads(facts))


def _counts(parts: Iterable[Mapping[bytes, bytes]]) -> dict[Key, float]:
    sums: dict[Key, float] = {}
    for part in parts:
        for key, n in part.items():
            split = tuple(key.decode().split(BETWEEN))
            sums[split] = sums.get(split, 0.0) + float(n)
    return sums
