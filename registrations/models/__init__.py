"""What happens: one hot row per line, its history, jobs, server health and pace."""

from registrations.models.history import Transition
from registrations.models.jobs import Failback, FailbackResult
from registrations.models.registration import Registration, State
from registrations.models.servers import ServerAcceptance, ServerHealth, ServerPace, SiteNetwork

__all__ = [
    "Failback",
    "FailbackResult",
    "Registration",
    "ServerAcceptance",
    "ServerHealth",
    "ServerPace",
    "SiteNetwork",
    "State",
    "Transition",
]
