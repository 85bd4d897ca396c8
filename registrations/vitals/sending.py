"""One thread per process that tells Redis, each second, what was counted and how it is.

Counts go as what came since the last time, under a number, so that what Redis took without our
hearing of it is not taken twice. While Redis is away they wait, summed.
"""

import atexit
import json
import logging
import secrets
import threading
import time
from typing import Any

import redis
from django.conf import settings

from fleet.build import BUILD
from registrations.vitals import counters
from registrations.vitals.counters import Key
from registrations.vitals.keys import BETWEEN, COUNTS, LEFT, PROCESSES, SENT

EVERY_S = 1.0
REDIS_S = 1.0

logger = logging.getLogger(__name__)

_SEND = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
  local m = KEYS[1] .. ':m' .. math.floor(now / 60)
  local h = KEYS[1] .. ':h' .. math.floor(now / 3600)
  local counts = cjson.decode(ARGV[2])
  for key, n in pairs(counts) do
    for _, hash in ipairs({KEYS[1], m, h}) do redis.call('HINCRBYFLOAT', hash, key, n) end
  end
  if next(counts) then redis.call('EXPIRE', m, 180); redis.call('EXPIRE', h, 10800) end
  redis.call('SET', KEYS[3], ARGV[1], 'EX', 3600)
end
for i = 3, #ARGV, 3 do
  local told = string.format('%.3f', now) .. '|' .. ARGV[i + 1] .. '|' .. ARGV[i + 2]
  redis.call('HSET', KEYS[2], ARGV[i], told)
end
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local at, kept = string.match(all[i + 1], '([%d.]+)|(%d+)')
  if now - at > tonumber(kept) then redis.call('HDEL', KEYS[2], all[i]) end
end
"""

_told: dict[str, tuple[int, str]] = {}
_started = time.time()
_lock = threading.Lock()
_sender: "Sender | None" = None


class Sender:
    """What one process has to tell, and its way to Redis."""

    def __init__(self) -> None:
        self._boot = secrets.token_hex(6)
        self._n = 0
        self._unsent: dict[Key, float] = {}
        self._client = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=REDIS_S, socket_connect_timeout=REDIS_S
        )
        self._script = self._client.register_script(_SEND)
        self._is_failing = False
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="vitals", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            self.send()
        for _ in ("what waited", "what came since"):
            self.send()

    def stop(self) -> None:
        """Send what is left, and end."""
        self._over.set()
        self._thread.join(2 * REDIS_S)

    def send(self) -> None:
        """Send what there is; keep it where Redis does not take it."""
        with self._lock:
            self._send()

    def _send(self) -> None:
        with _lock:
            told = dict(_told)
            _told.clear()
        if not self._unsent:
            self._unsent = counters.take()
            self._n += 1
        if not (self._unsent or told):
            return
        counts = {BETWEEN.join(key): n for key, n in self._unsent.items()}
        arguments: list[Any] = [self._n, json.dumps(counts)]
        for process, (kept_s, facts) in told.items():
            arguments += [process, kept_s, facts]
        try:
            self._script(keys=[COUNTS, PROCESSES, SENT + self._boot], args=arguments)
        except (redis.RedisError, OSError) as error:
            if not self._is_failing:
                logger.warning("Redis takes no counts, they wait: %s", error)
            self._is_failing = True
        else:
            self._unsent, self._is_failing = {}, False

    def forget(self, process: str) -> None:
        """Take a process off the list, if Redis can be reached."""
        try:
            self._client.hdel(PROCESSES, process)
            kind, (seconds, _) = process.partition(BETWEEN)[0], self._client.time()
            self._client.hset(LEFT, kind, seconds)
        except (redis.RedisError, OSError) as error:
            logger.info("%s could not take its leave: %s", process, error)


def tell(kind: str, name: str, *, kept_s: int = 24 * 3600, **facts: Any) -> None:
    """Say that this process is alive, and what else there is to say; call it each second.

    `kind` is worker, beat, answerer or web; `name` the same after a restart. What is not heard any
    more is shown as such for `kept_s`. Returns at once, from any thread; never fails.
    """
    facts |= {"build": BUILD, "started_at": _started}
    with _lock:
        _told[f"{kind}{BETWEEN}{name}"] = (kept_s, json.dumps(facts))
    start()


def farewell(kind: str, name: str) -> None:
    """Say that this process ends in order: nobody has to miss it."""
    with _lock:
        _told.pop(f"{kind}{BETWEEN}{name}", None)
    if _sender is not None:
        _sender.forget(f"{kind}{BETWEEN}{name}")


def start() -> None:
    """Start this process's sender, once. A process without Redis (a test) has nobody to tell."""
    global _sender
    if _sender is not None or settings.REDIS_URL.startswith("memory:"):
        return
    with _lock:
        if _sender is not None:
            return
        _sender = Sender()


def stop() -> None:
    """Send what is left; whoever counts or tells afterwards starts anew."""
    global _sender
    with _lock:
        sender, _sender = _sender, None
    if sender is not None:
        sender.stop()


counters.takers.append(start)
atexit.register(stop)
