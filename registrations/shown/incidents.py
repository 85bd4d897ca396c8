"""Where those are listed whom an incident hits: they are not kept, but follow from it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fleet.models import ServerGroup, Site
from registrations import queries
from registrations.incidents.limits import (
    BEAT_SILENT,
    CREDENTIALS,
    DRILL,
    FLAPPING,
    HANDSET,
    HORIZON,
    PROOF_LOST,
    SERVER_SICK,
    SERVER_SILENT,
    SITE_NETWORK,
    WORKER_SILENT,
)
from registrations.models import Incident, State

MOST_FOLDED = 50
MOST_MESSAGES = 100


@dataclass(frozen=True, slots=True)
class Members:
    """Where the handsets of an incident are listed: now, and what became of them."""

    now: str
    """The query string of the list of handsets; '' where there is none."""
    history: str
    """That of the history."""
    proofs: str = ""
    """That of the standby proofs."""
    drill: str = ""
    """The id of the drill it is about."""
    is_own: bool = False
    """It is about a part of Rollcall."""


def members(incident: Incident) -> Members:
    """Return where to see who is hit, and what became of them: of what is over, that alone."""
    is_on = incident.resolved_at is None
    bounds = {
        "since": queries.moment(incident.opened_at),
        "until": queries.moment(incident.resolved_at),
    }
    past = _past(incident)
    history = {name: value for name, value in (past | bounds).items() if value} if past else {}
    return Members(
        urlencode(_now(incident) if is_on else {}, doseq=True),
        urlencode(history),
        urlencode({"server": incident.server_id, "takes": "false"})
        if incident.kind == PROOF_LOST and incident.server_id and is_on
        else "",
        incident.cause.partition(":")[2] if incident.kind == DRILL else "",
        is_on and incident.kind in (WORKER_SILENT, BEAT_SILENT),
    )


def _now(incident: Incident) -> dict[str, Any]:
    groups = ServerGroup.objects.filter(name__in=incident.groups)
    sites = Site.objects.filter(name__in=incident.sites)
    places = {
        "group": list(groups.values_list("pk", flat=True)),
        "site": list(sites.values_list("pk", flat=True)),
    }
    if (incident.groups and not places["group"]) or (incident.sites and not places["site"]):
        # They were deleted: without them it would be the whole fleet.
        return {}
    kind = incident.kind
    if kind in (SERVER_SILENT, HORIZON) and incident.server_id:
        return places | {"server": incident.server_id}
    if kind == SITE_NETWORK:
        return {"site": places["site"]}
    if kind == SERVER_SICK:
        return {"group": places["group"], "state": [State.REJECTED, State.UNREGISTERED]}
    if kind == CREDENTIALS:
        return places | {"state": State.REJECTED}
    if kind == HANDSET and incident.registration_id is None:
        return places | {"state": State.UNREGISTERED}
    return {}


def _past(incident: Incident) -> dict[str, Any]:
    if incident.kind in (SERVER_SILENT, SERVER_SICK, HORIZON):
        return {"from_server": incident.server_name}
    if incident.kind in (HANDSET, FLAPPING) and incident.registration_id:
        return {"registration": incident.registration_id}
    if incident.kind in (SITE_NETWORK, FLAPPING) and incident.sites:
        return {"site": incident.sites[0]}
    if incident.kind in (CREDENTIALS, HANDSET) and incident.groups:
        return {"group": incident.groups[0], "site": incident.sites[0]}
    return {}
