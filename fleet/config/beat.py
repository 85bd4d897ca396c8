"""Celery's beat: its schedule does not stand still where the machine's clock was set back, and it
sleeps until something is due.
"""

from typing import Any

from celery.beat import PersistentScheduler

EARLY_S = 0.010
"""Celery wakes so long before something is due and from then on looks without a pause."""


class Scheduler(PersistentScheduler):
    """Celery keeps by the clock on the wall when a task was sent last, in a file too.

    Set back by an hour, that clock would have nothing fall due for an hour.
    """

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; return for how many seconds nothing else is."""
        ahead = [e for e in self.schedule.values() if e.last_run_at > e.default_now()]
        for entry in ahead:
            entry.last_run_at = entry.default_now()
        if ahead:
            # Its heap was ordered by the old time.
            self._heap = None
        wait: float = super().tick(*args, **kwargs)
        return wait + EARLY_S if wait else 0.0
