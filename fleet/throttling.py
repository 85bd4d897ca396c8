"""How much one user may ask of the API: so many requests in a minute, over all web processes.

Counted in Redis, each minute of the clock anew. While Redis is out of reach nobody is counted: the
API must tell then, too.
"""

import time
from typing import Any

import redis
from django.core.cache import cache
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

MINUTE = 60
READS = 6000
WRITES = 3000
"""In a minute. Nobody who reads this list by list gets there; a loop without a pause does."""


class PerUser(BaseThrottle):
    """Reading and writing apart, and all of a user's tokens and sessions together."""

    def allow_request(self, request: Request, view: Any) -> bool:
        is_read = request.method in SAFE_METHODS
        kind, most = ("reads", READS) if is_read else ("writes", WRITES)
        key = f"throttle:{kind}:{request.user.pk}:{int(time.time()) // MINUTE}"
        try:
            cache.add(key, 0, 2 * MINUTE)
            return cache.incr(key) <= most
        except (redis.RedisError, OSError, ValueError):
            return True

    def wait(self) -> float:
        """Seconds until the next minute begins: what `Retry-After` says."""
        return MINUTE - time.time() % MINUTE
