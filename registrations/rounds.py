"""What a worker looks after each second beside what is due: jobs, orders, incidents, messages.

One after the other within beat's tick: a task of its own for each cost more than what it did. Most
of the time there is nothing to do for any of them, which one statement tells.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from django.db import InterfaceError, OperationalError

from fleet import import_orders
from fleet.presence import Presence
from registrations import jobs, makers
from registrations.alerts import courier, looking, queue
from registrations.exports import orders as export_orders

logger = logging.getLogger(__name__)

ANYHOW_S = 30.0
"""What has nothing to do that can be seen is looked after so often: files grow old, too."""

OUTAGE = (OperationalError, InterfaceError)
"""A database that is away is known without a traceback each second; the next tick tries again."""


class Chore:
    """One thing to look after. What is still under way in another thread is not begun again.

    `waits` names what of `WORK` it is there for; without any it has something to do each time.
    """

    def __init__(
        self, name: str, work: Callable[[datetime], object], waits: Collection[str] = ()
    ) -> None:
        self._name = name
        self._work = work
        self.waits = frozenset(waits)
        self._done_at = -math.inf
        self._busy = threading.Lock()

    def is_wanted(self, seen: Collection[str]) -> bool:
        """Whether to do it, when that much was seen."""
        is_old = time.monotonic() - self._done_at >= ANYHOW_S
        return not self.waits or is_old or not self.waits.isdisjoint(seen)

    def do(self, now: datetime) -> None:
        """Do it; what fails is logged and keeps nothing else from being done. Raises OUTAGE."""
        if not self._busy.acquire(blocking=False):
            return
        try:
            self._work(now)
            self._done_at = time.monotonic()
        except OUTAGE:
            raise
        except Exception:
            logger.exception("%s could not be looked after", self._name)
        finally:
            self._busy.release()


WORK = Presence(
    messages=queue.unsent,
    imports=import_orders.unfinished,
    exports=export_orders.unfinished,
    **jobs.UNFINISHED,
)
CHORES = (
    Chore("incidents", looking.look),
    Chore("messages", lambda now: courier.rouse(), ["messages"]),
    Chore("imports", lambda now: makers.IMPORTS.tend(), ["imports"]),
    Chore("exports", lambda now: makers.EXPORTS.tend(), ["exports"]),
    # Last, as the steps of a large job take seconds.
    Chore("jobs", jobs.advance_all, jobs.UNFINISHED),
)


def go_round(now: datetime, chores: Sequence[Chore] = CHORES) -> None:
    """Do all of them that have something to do and that nobody else in this process is at.

    Raises OUTAGE, after the last one.
    """
    outage: Exception | None = None
    seen: Collection[str] = WORK.kinds
    try:
        if any(chore.waits for chore in chores):
            seen = WORK.seen()
    except OUTAGE as error:
        outage = error
    for chore in chores:
        try:
            if chore.is_wanted(seen):
                chore.do(now)
        except OUTAGE as error:
            # What one of them asks may be too much for a database that serves the others.
            outage = error
    if outage is not None:
        raise outage
