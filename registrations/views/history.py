"""The history: every change of state or server, filtered, as the export gives it."""

from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fleet.models import ServerGroup
from fleet.roles import Role, require_role
from registrations import queries
from registrations.models import Registration
from registrations.shown import pages

MOST_MEANT = 6
SINGLE = ("since", "until", "from_server", "to_server", "mac", "registration", "q")


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def history(request: HttpRequest) -> HttpResponse:
    """Every change of state or server, filtered; the export takes the same query string."""
    by_site = pages.zones()
    zone = pages.common_zone(by_site)
    params = pages.with_offsets(request.GET, zone)
    filtered = queries.TransitionFilter(params, queries.transitions())
    valid = filtered.is_valid()
    found = filtered.qs if valid else filtered.queryset.none()
    size = pages.size_of(params)
    leaf = _leaf(found, params, size, filtered.form.cleaned_data if valid else {})
    group_names = ServerGroup.objects.values_list("name", flat=True)
    options = {
        "state": pages.state_names(),
        "cause": queries.CAUSES,
        "group": {name: name for name in group_names},
        "site": {name: name for name in by_site},
    }
    context = {
        "nav": "history",
        "leaf": leaf,
        "count": queries.count(found),
        "counted": queries.COUNTED,
        "transitions": [queries.transition_row(change) for change in leaf.rows],
        "chips": pages.chips(params, options | {field: {} for field in SINGLE}),
        "options": options,
        "chosen": {field: params.getlist(field) for field in options},
        "since": pages.local_input(params.get("since", ""), zone),
        "until": pages.local_input(params.get("until", ""), zone),
        "zone": zone,
        "zones": by_site,
        "size": size,
        "sizes": pages.PAGE_SIZES,
        "export": _filter_of(params),
        "export_formats": pages.EXPORT_FORMATS,
        "meant": _meant(params) if leaf.searched_to else [],
        "faults": [] if valid else filtered.errors.values(),
    }
    return render(request, "history.html", context)


def _leaf(found: Any, params: QueryDict, size: int, bounds: dict[str, Any]) -> queries.Leaf:
    return queries.leaf(
        found,
        size,
        before=queries.Mark.read(params.get("before", "")),
        after=queries.Mark.read(params.get("after", "")),
        since=bounds.get("since"),
        until=bounds.get("until"),
    )


def _meant(params: QueryDict) -> list[tuple[Registration, str]]:
    """Lines the text may mean, each with the query string of its own history: that is quick."""
    rows = queries.registrations(timezone.now())
    named = queries.RegistrationFilter({"q": params.get("q", "")}, rows)
    found = []
    for row in named.qs.order_by("pk")[:MOST_MEANT] if params.get("q") else ():
        own = params.copy()
        for field in ("q", "before", "after"):
            own.pop(field, None)
        own["registration"] = str(row.pk)
        found.append((row, own.urlencode()))
    return found


def _filter_of(params: QueryDict) -> str:
    """The query string without what only leafs through the page."""
    kept = params.copy()
    for field in ("page", "before", "after", "size"):
        kept.pop(field, None)
    return kept.urlencode()
