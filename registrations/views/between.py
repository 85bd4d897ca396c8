"""What changed between two instants: who stood elsewhere at the later one."""

from collections import Counter
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fleet.roles import Role, require_role
from registrations import queries
from registrations.shown import looking_back, pages

MOST_ROWS = 200


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def between(request: HttpRequest) -> HttpResponse:
    """Who stood elsewhere at `to` (now) than at `from`; who moved and came back did not."""
    now, zones = timezone.now(), pages.zones()
    zone = pages.common_zone(zones)
    earlier, later = (_instant(request.GET, field, zone) for field in ("from", "to"))
    until = later.at if later else now
    found, fault = [], ""
    if earlier is not None and earlier.at < until:
        found = queries.between(earlier.at, until, now)
    elif request.GET:
        fault = "Give two times, the earlier one first."
    context = {
        "nav": "history",
        "zone": zone,
        "zones": zones,
        "earlier": earlier,
        "later": later,
        "until": until,
        "fault": fault,
        "kinds": _kinds(found),
        "found": found[:MOST_ROWS],
        "count": len(found),
    }
    return render(request, "between.html", context)


def _instant(params: QueryDict, field: str, zone: str) -> looking_back.Instant | None:
    only = QueryDict(mutable=True)
    only["at"] = params.get(field, "")
    return looking_back.instant_of(only, zone, timezone.now())


def _kinds(found: list[queries.Difference]) -> list[tuple[Any, Any, int]]:
    """How many went from where to where: (state and server) twice, most first."""
    counted = Counter((_place(each.before), _place(each.after)) for each in found)
    return [(old, new, n) for (old, new), n in counted.most_common()]


def _place(row: dict[str, Any] | None) -> tuple[str, str] | None:
    return None if row is None else (row["then_state"], row["then_server"])
