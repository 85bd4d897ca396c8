"""Reports: how the fleet stood over a period, by handset, group, site or server."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fleet.models import ServerGroup
from fleet.roles import Role, require_role
from registrations import queries
from registrations.shown import pages

MOST_ROWS = 200
"""A page shows so many; the export has them all."""

CUTS = {"group": "Group", "site": "Site", "server": "Server", "handset": "Handset"}
SINGLE = ("since", "until", "mac")
BAR = {"none": "unregistered", "off": "disabled"}
"""The state whose colour a share has, where that is not its own name."""


@require_safe
@require_role(Role.VIEWER)
def reports(request: HttpRequest) -> HttpResponse:
    """Shares of time, failovers, recoveries and outages; the export takes the same query string."""
    by_site, now = pages.zones(), timezone.now()
    zone = pages.common_zone(by_site)
    params = pages.with_offsets(request.GET, zone)
    form = queries.ReportForm(params, now)
    faults = [] if form.is_valid() else list(form.errors.values())
    rows: list[queries.ReportRow] = []
    if not faults:
        try:
            rows = queries.report(form.cut, form.period, now, **form.part)
        except queries.TooLong:
            faults = [["It takes too long: choose a shorter period or a part of the fleet."]]
    options = {
        "group": {name: name for name in ServerGroup.objects.values_list("name", flat=True)},
        "site": {name: name for name in by_site},
    }
    context = {
        "nav": "reports",
        "cuts": CUTS,
        "cut": form.cut if not faults else "group",
        "period": form.period if not faults else None,
        "rows": [_shown(row) for row in rows[:MOST_ROWS]],
        "count": len(rows),
        "whole": _shown(queries.whole(rows)) if rows else None,
        "chips": pages.chips(params, options | {field: {} for field in SINGLE}),
        "options": options,
        "chosen": {field: params.getlist(field)[-1:] for field in options},
        "since": pages.local_input(params.get("since", ""), zone),
        "until": pages.local_input(params.get("until", ""), zone),
        "zone": zone,
        "export": params.urlencode(),
        "export_formats": pages.EXPORT_FORMATS,
        "faults": faults,
    }
    return render(request, "reports.html", context)


def _shown(row: queries.ReportRow) -> dict[str, Any]:
    supervised = {BAR.get(n, n): s for n, s in row.seconds.items() if n != "off"}
    return {
        "row": row,
        "states": supervised,
        "total": sum(supervised.values()),
        "shares": {name: 100 * row.share(name) for name in queries.SHARES},
    }
