"""What happens: one hot row per line, its history, jobs, server health and pace, standby proofs,
the census, incidents and who is told of them."""

from registrations.models.alerts import AlertRule, Channel, Delivery, MaintenanceWindow
from registrations.models.census import Census
from registrations.models.drills import Drill
from registrations.models.exports import ExportJob, ExportPart
from registrations.models.history import RenewalHour, Transition
from registrations.models.incidents import Incident, IncidentEntry, IncidentLimit, IncidentLook
from registrations.models.jobs import Drain, Job, JobResult, QuietHours
from registrations.models.notifications import NotificationAddress
from registrations.models.proofs import ReadinessHour, StandbyProof
from registrations.models.registration import Registration, State
from registrations.models.saved import SavedView
from registrations.models.server_changes import ServerChange
from registrations.models.servers import (
    ServerAcceptance,
    ServerHealth,
    ServerPace,
    ServerPause,
    SiteNetwork,
)
from registrations.models.wallboard import WallboardToken

__all__ = [
    "AlertRule",
    "Channel",
    "Delivery",
    "Incident",
    "IncidentEntry",
    "IncidentLimit",
    "IncidentLook",
    "MaintenanceWindow",
    "ExportJob",
    "ExportPart",
    "Census",
    "Drain",
    "Drill",
    "Job",
    "JobResult",
    "NotificationAddress",
    "QuietHours",
    "ReadinessHour",
    "Registration",
    "RenewalHour",
    "SavedView",
    "ServerAcceptance",
    "ServerChange",
    "ServerHealth",
    "ServerPace",
    "ServerPause",
    "SiteNetwork",
    "StandbyProof",
    "State",
    "Transition",
    "WallboardToken",
]
