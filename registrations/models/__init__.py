"""What happens: one hot row per line, its history, jobs, server health and pace."""

from registrations.models.history import RenewalHour, Transition
from registrations.models.jobs import Drain, Job, JobResult, QuietHours
from registrations.models.registration import Registration, State
from registrations.models.servers import ServerAcceptance, ServerHealth, ServerPace, SiteNetwork

__all__ = [
    "Drain",
    "Job",
    "JobResult",
    "QuietHours",
    "Registration",
    "RenewalHour",
    "ServerAcceptance",
    "ServerHealth",
    "ServerPace",
    "SiteNetwork",
    "State",
    "Transition",
]
