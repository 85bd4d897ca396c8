"""The filter of the handset list for the fleet as it was."""

from datetime import datetime

from django.db.models import Q
from django.http import QueryDict

from fleet.models import Server, ServerGroup, Site
from registrations.models import State
from registrations.queries.troubles import on_silent, silent_places, troubles_at
from registrations.queries.words import plain_mac

THEN_FILTERS = ("at", "state", "silent", "group", "site", "server", "q")
"""What of the list's address counts for the fleet as it was."""


def then_condition(params: QueryDict, at: datetime) -> Q:
    """Return the filter of the handset list as a condition on `fleet_at(at)`.

    Groups and sites are found by the names they have now, servers by their labels.
    """
    found = Q()
    if states := [state for state in params.getlist("state") if state in State.values]:
        found &= Q(then_state__in=states)
    if (silent := params.get("silent")) in ("true", "false"):
        held = on_silent(silent_places(troubles_at(at)))
        found &= held if silent == "true" else ~held
    for field, model in (("group", ServerGroup), ("site", Site)):
        if wanted := _ids(params, field):
            names = list(model.objects.filter(pk__in=wanted).values_list("name", flat=True))
            found &= Q(**{f"then_{field}__in": names})
    if wanted := _ids(params, "server"):
        labels = [str(server) for server in Server.objects.filter(pk__in=wanted)]
        found &= Q(then_server__in=labels)
    for word in params.get("q", "").split():
        found &= _has(word)
    return found


def _ids(params: QueryDict, field: str) -> list[int]:
    return [int(v) for v in params.getlist(field) if v.isdecimal() and len(v) < 19]


def _has(word: str) -> Q:
    found = Q()
    for field in ("then_name", "then_extension", "then_server"):
        found |= Q(**{f"{field}__icontains": word})
    if mac := plain_mac(word):
        found |= Q(then_mac__icontains=mac)
    return found
