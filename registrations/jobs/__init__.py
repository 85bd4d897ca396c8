"""Orders to move handsets: who is asked, in which wave, what became of each.

Rows, never a process: see `steps` for how a job goes on.
"""

from registrations.jobs.beat import UNFINISHED, advance_all
from registrations.jobs.clashes import clash
from registrations.jobs.drain_rows import drain_row, drains
from registrations.jobs.drains import Window, drain, end
from registrations.jobs.drills import LONGEST_MINUTES, Exercise, drill, end_drill, returns_at
from registrations.jobs.held import OrderHeld, held, hold_of
from registrations.jobs.hours import (
    DAYS,
    days_word,
    faults_of_hours,
    hours_word,
    place_word,
    standing,
)
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
from registrations.jobs.progress import STATES, by_wave, listing, overview, progress, result_word
from registrations.jobs.scopes import ScopeError, in_scope, words
from registrations.jobs.waits import waits
from registrations.models import Job

WISHES = tuple(Job.Kind.values)
"""What `Registration.wish` says while a job of that kind asks a handset to move."""

__all__ = [
    "DAYS",
    "days_word",
    "LONGEST_MINUTES",
    "Exercise",
    "STATES",
    "TERMS",
    "UNFINISHED",
    "WISHES",
    "JobIsOver",
    "OrderHeld",
    "OrderRefused",
    "ScopeError",
    "Terms",
    "Window",
    "advance_all",
    "by_wave",
    "cancel",
    "clash",
    "drain",
    "drain_row",
    "drains",
    "drill",
    "end",
    "end_drill",
    "faults_of_hours",
    "held",
    "hold_of",
    "hours_word",
    "in_scope",
    "judged",
    "listing",
    "order",
    "overview",
    "pause",
    "place_word",
    "progress",
    "result_word",
    "resume",
    "returns_at",
    "roll_back",
    "standing",
    "waits",
    "words",
]
