"""Orders to move handsets: who is asked, what became of each. Rows, never a process."""

from registrations.jobs.judging import judged
from registrations.jobs.orders import JobIsOver, cancel, order
from registrations.jobs.progress import listing, overview, progress, result_word
from registrations.jobs.scopes import ScopeError, words
from registrations.jobs.settling import WISH, settle

__all__ = [
    "WISH",
    "JobIsOver",
    "ScopeError",
    "cancel",
    "judged",
    "listing",
    "order",
    "overview",
    "progress",
    "result_word",
    "settle",
    "words",
]
