"""The history: every change of state or server, filtered, as the export gives it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from fleet.models import ServerGroup
from fleet.roles import Role, require_role
from registrations import pages, queries


@require_safe
@require_role(Role.VIEWER)
def history(request: HttpRequest) -> HttpResponse:
    """Every change of state or server, filtered; the export takes the same query string."""
    by_site = pages.zones()
    zone = pages.common_zone(by_site)
    params = pages.with_offsets(request.GET, zone)
    filtered = queries.TransitionFilter(params, queries.transitions())
    valid = filtered.is_valid()
    page = pages.page_of(filtered.qs if valid else filtered.queryset.none(), params)
    group_names = ServerGroup.objects.values_list("name", flat=True)
    options = {
        "state": pages.state_names(),
        "cause": queries.CAUSES,
        "group": {name: name for name in group_names},
        "site": {name: name for name in by_site},
    }
    exported = params.copy()
    for field in ("page", "size"):
        exported.pop(field, None)
    context = {
        "nav": "history",
        "page": page,
        "transitions": [queries.transition_row(change) for change in page],
        "chips": pages.chips(
            params, options | {"since": {}, "until": {}, "mac": {}, "registration": {}, "q": {}}
        ),
        "options": options,
        "chosen": {field: params.getlist(field) for field in options},
        "since": pages.local_input(params.get("since", ""), zone),
        "until": pages.local_input(params.get("until", ""), zone),
        "zone": zone,
        "zones": by_site,
        "sizes": pages.PAGE_SIZES,
        "export": exported.urlencode(),
        "faults": [] if valid else filtered.errors.values(),
    }
    return render(request, "history.html", context)
