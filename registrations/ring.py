"""The traces kept in Redis: of every line its last tries, and the first failure at each server.

Bounded by construction: a line's key holds DEPTH tries of at most `trace.record.MOST_PACKED` bytes
and two more for each server, and goes as a whole KEPT_S after its last try; nothing is written
while Redis uses more than MOST_REDIS_BYTES in all. A usual try has about 250 bytes.

Losing it loses nothing else: whoever writes counts what could not be kept, whoever reads says so.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings

from registrations.trace import Record, unpack

DEPTH = 12
"""Tries kept of each line."""
KEPT_S = 7 * 24 * 3600
MOST_REDIS_BYTES = 512 * 1024 * 1024
READ_S = 1.0
WRITE_S = 2.0

ABOUT = "rollcall:trace"
"""Since when traces are kept, and the last time some could not be."""


def key_of(registration_id: int) -> str:
    """Return the Redis key of one line's tries."""
    return f"{ABOUT}:{registration_id}"


class Full(Exception):
    """Redis uses more memory than traces may add to; nothing was written."""


class Unavailable(Exception):
    """The traces cannot be read; `since` (Unix seconds) is when this process first noticed."""

    def __init__(self, since: float) -> None:
        super().__init__("Redis does not answer")
        self.since = since


@dataclass(frozen=True, slots=True)
class Kept:
    """A try on its way into the ring. `took`: per server, whether it took the registration."""

    registration_id: int
    packed: bytes
    took: Mapping[int, bool]


@dataclass(frozen=True, slots=True)
class Lost:
    """Tries that could not be kept, between two moments (Unix seconds)."""

    since: float
    until: float
    tries: int
    why: str


@dataclass(frozen=True, slots=True)
class Pair:
    """The first failure at a server since it last took the registration, and that success."""

    server_id: int
    failure: Record
    success: Record | None
    """None: there was none, or it is no longer kept."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What is kept of one line, newest first."""

    tries: tuple[Record, ...]
    pairs: tuple[Pair, ...]
    since: float | None
    """Since when tries are kept at all: this Redis was started or emptied then."""
    lost: Lost | None


_WRITE = """
local used = string.match(redis.call('INFO', 'memory'), 'used_memory:(%d+)')
if tonumber(used) > tonumber(ARGV[1]) then return 0 end
redis.call('HSETNX', KEYS[1], 'since', ARGV[4])
local depth = tonumber(ARGV[2])
for i = 2, #KEYS do
  local key, try, took = KEYS[i], ARGV[2 * i + 1], ARGV[2 * i + 2]
  local n = redis.call('HINCRBY', key, 'n', 1)
  local old = {}
  for server, sign in string.gmatch(took, '(%d+)([+-])') do
    local ok = tonumber(redis.call('HGET', key, 'ok:' .. server) or 0)
    if sign == '+' then
      redis.call('HSET', key, 'ok:' .. server, n)
    elseif tonumber(redis.call('HGET', key, 'after:' .. server) or -1) ~= ok then
      redis.call('HSET', key, 'after:' .. server, ok, 'bad:' .. server, try)
      local before = ok > 0 and n - ok < depth and redis.call('HGET', key, ok % depth)
      if before then
        redis.call('HSET', key, 'good:' .. server, before)
      else
        redis.call('HDEL', key, 'good:' .. server)
      end
    end
  end
  redis.call('HSET', key, n % depth, try)
  redis.call('EXPIRE', key, ARGV[3])
end
return 1
"""
"""One call for a whole flush. A first failure is pinned once, with the success before it: the
ring itself turns too fast to hold both through an outage."""


class Writer:
    """A worker's way into the ring. Blocks for at most WRITE_S: not for the event loop."""

    def __init__(self) -> None:
        self._client = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=WRITE_S, socket_connect_timeout=WRITE_S
        )
        self._script = self._client.register_script(_WRITE)

    def write(self, kept: Sequence[Kept], now: float) -> None:
        """Write these tries, the oldest first. Raises redis.RedisError or Full."""
        arguments: list[Any] = [MOST_REDIS_BYTES, DEPTH, KEPT_S, f"{now:.3f}"]
        for each in kept:
            signs = (f"{server_id}{'+' if took else '-'}" for server_id, took in each.took.items())
            arguments += [each.packed, ",".join(signs)]
        keys = [ABOUT, *(key_of(each.registration_id) for each in kept)]
        if not self._script(keys=keys, args=arguments):
            raise Full

    def tell_lost(self, lost: Lost) -> None:
        """Let readers know what could not be kept. Raises redis.RedisError."""
        told = {"from": lost.since, "until": lost.until, "tries": lost.tries, "why": lost.why}
        self._client.hset(ABOUT, mapping=told)

    def close(self) -> None:
        self._client.close()


_unreachable_since: float | None = None


def read(registration_id: int) -> Traces:
    """Return what is kept of one line. Raises Unavailable."""
    global _unreachable_since
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=READ_S, socket_connect_timeout=READ_S
        ) as client:
            pipeline = client.pipeline(transaction=False)
            pipeline.hgetall(key_of(registration_id))
            pipeline.hgetall(ABOUT)
            found, about = pipeline.execute()
    except (redis.RedisError, OSError, ValueError) as error:
        # ValueError: REDIS_URL names no Redis, as in a test process.
        _unreachable_since = _unreachable_since or time.time()
        raise Unavailable(_unreachable_since) from error
    _unreachable_since = None
    return _traces(found, {name.decode(): value.decode() for name, value in about.items()})


def _traces(found: Mapping[bytes, bytes], about: Mapping[str, str]) -> Traces:
    tries: list[Record] = []
    bad: dict[int, Record] = {}
    good: dict[int, Record] = {}
    for name, value in found.items():
        kind, _, server_id = name.decode().partition(":")
        if not (kind.isdigit() or kind in ("bad", "good")):
            continue
        with suppress(ValueError):  # Another version of Rollcall packed it otherwise.
            record = unpack(value)
            if kind.isdigit():
                tries.append(record)
            else:
                (bad if kind == "bad" else good)[int(server_id)] = record
    lost = None
    if "tries" in about:
        lost = Lost(float(about["from"]), float(about["until"]), int(about["tries"]), about["why"])
    return Traces(
        tries=tuple(sorted(tries, key=lambda record: -record.at)),
        pairs=tuple(Pair(s, bad[s], good.get(s)) for s in sorted(bad, key=lambda s: -bad[s].at)),
        since=float(about["since"]) if "since" in about else None,
        lost=lost,
    )
