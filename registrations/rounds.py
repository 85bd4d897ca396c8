"""What a worker looks after each second beside what is due: jobs, orders, incidents, messages.

One after the other within beat's tick: a task of its own for each cost more than what it did.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import InterfaceError, OperationalError

from registrations import jobs, makers
from registrations.alerts import courier, looking

logger = logging.getLogger(__name__)

OUTAGE = (OperationalError, InterfaceError)
"""A database that is away is known without a traceback each second; the next tick tries again."""


class Chore:
    """One thing to look after. What is still under way in another thread is not begun again."""

    def __init__(self, name: str, work: Callable[[datetime], object]) -> None:
        self._name = name
        self._work = work
        self._busy = threading.Lock()

    def do(self, now: datetime) -> None:
        """Do it; what fails is logged and keeps nothing else from being done. Raises OUTAGE."""
        if not self._busy.acquire(blocking=False):
            return
        try:
            self._work(now)
        except OUTAGE:
            raise
        except Exception:
            logger.exception("%s could not be looked after", self._name)
        finally:
            self._busy.release()


CHORES = (
    Chore("incidents", looking.look),
    Chore("messages", lambda now: courier.rouse()),
    Chore("imports", lambda now: makers.IMPORTS.tend()),
    Chore("exports", lambda now: makers.EXPORTS.tend()),
    # Last, as the steps of a large job take seconds.
    Chore("jobs", jobs.advance_all),
)


def go_round(now: datetime, chores: Sequence[Chore] = CHORES) -> None:
    """Do all of them that nobody else in this process is at. Raises OUTAGE, after the last one."""
    outage: Exception | None = None
    for chore in chores:
        try:
            chore.do(now)
        except OUTAGE as error:
            # What one of them asks may be too much for a database that serves the others.
            outage = error
    if outage is not None:
        raise outage
