"""How often somebody tried something of late, over all web processes: to spare what is dear.

It keeps nobody out by itself: where Redis is away nothing is counted.
"""

from contextlib import suppress

from django.core.cache import cache
from redis.exceptions import RedisError


class Tries:
    """Counts by whoever is meant, each forgotten `seconds` after it began."""

    def __init__(self, name: str, seconds: int) -> None:
        self._name, self._seconds = name, seconds

    def of(self, whom: str) -> int:
        """Return how many there were; 0 where Redis is away."""
        try:
            return int(cache.get(f"{self._name}:{whom}", 0))
        except RedisError:
            return 0

    def add(self, whom: str) -> None:
        """Count one more."""
        with suppress(RedisError, ValueError):
            # ValueError: it has just run out.
            cache.add(f"{self._name}:{whom}", 0, self._seconds)
            cache.incr(f"{self._name}:{whom}")
