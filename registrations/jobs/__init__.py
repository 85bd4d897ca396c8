"""Orders to move handsets: who is asked, in which wave, what became of each.

Rows, never a process: see `steps` for how a job goes on.
"""

from registrations.jobs.judging import judged
from registrations.jobs.orders import (
    TERMS,
    JobIsOver,
    OrderRefused,
    Terms,
    cancel,
    order,
    pause,
    resume,
    roll_back,
)
from registrations.jobs.progress import by_wave, listing, overview, progress, result_word
from registrations.jobs.scopes import ScopeError, in_scope, words
from registrations.jobs.steps import advance_all
from registrations.models import Job

WISH = Job.Kind.FAILBACK.value
"""What `Registration.wish` says while a handset is asked home; so for the other kinds."""

__all__ = [
    "TERMS",
    "WISH",
    "JobIsOver",
    "OrderRefused",
    "ScopeError",
    "Terms",
    "advance_all",
    "by_wave",
    "cancel",
    "in_scope",
    "judged",
    "listing",
    "order",
    "overview",
    "pause",
    "progress",
    "result_word",
    "resume",
    "roll_back",
    "words",
]
