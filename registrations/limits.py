"""What is limited to some groups, sites or servers, and would mean everything without the last.

A wallboard of one ward must not show the hospital, nor a maintenance window silence it, because
the ward was deleted.
"""

from typing import Any

from fleet.models import Server, ServerGroup, Site, SiteLimit
from registrations.models import AlertRule, MaintenanceWindow, WallboardToken

_FIELDS: dict[type[Any], str] = {Server: "servers", ServerGroup: "groups", Site: "sites"}
LIMITED: tuple[tuple[type[Any], str], ...] = (
    (WallboardToken, "wallboard"),
    (AlertRule, "alert rule"),
    (MaintenanceWindow, "maintenance window"),
)


def only_limit_of(thing: Server | ServerGroup | Site, **_: Any) -> str:
    """Receiver of fleet's signal: say why `thing` cannot be deleted; '' where it can."""
    if isinstance(thing, Site) and (limit := SiteLimit.objects.filter(site=thing).first()):
        return (
            f"{thing} cannot be deleted: {limit.user} is limited to it. Change that first, on the "
            "page of users."
        )
    field = _FIELDS[type(thing)]
    for model, word in LIMITED:
        if not hasattr(model, field):
            continue
        for limited in model.objects.filter(**{field: thing}).prefetch_related(field):
            if len(getattr(limited, field).all()) == 1:
                return (
                    f"{thing} cannot be deleted: the {word} {limited.name} is limited to it alone, "
                    "and would mean everything without it. Change or remove that first."
                )
    return ""
