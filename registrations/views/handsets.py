"""The list of handsets: filtered, sorted and paged on the server."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fleet.models import Server, ServerGroup, Site
from fleet.roles import Role, require_role
from registrations import pages, queries

COLUMNS = (
    ("name", "Handset"),
    ("extension", "Extension"),
    ("state", "State"),
    ("server", "Server"),
    ("since", "Since"),
    ("next", "Next step"),
    ("group", "Group"),
    ("site", "Site"),
)


@require_safe
@require_role(Role.VIEWER)
def handsets(request: HttpRequest) -> HttpResponse:
    """Every registration, filtered, sorted and paged here on the server."""
    params, now = request.GET, timezone.now()
    filtered = queries.RegistrationFilter(params, queries.plain(now))
    valid = filtered.is_valid()
    found = filtered.qs if valid else filtered.queryset.none()
    sort = params.get("sort", "name")
    pager = queries.Pager(queries.ordered(found, sort), pages.size_of(params))
    page = pager.get_page(params.get("page"))
    options = {
        "state": pages.state_names(),
        "group": {str(pk): name for pk, name in ServerGroup.objects.values_list("pk", "name")},
        "site": {str(pk): name for pk, name in Site.objects.values_list("pk", "name")},
        "server": {str(server.pk): str(server) for server in Server.objects.all()},
    }
    names = options | {"silent": {"true": "Server silent", "false": "Server answers"}, "q": {}}
    context = {
        "nav": "handsets",
        "page": page,
        "rows": [(queries.row(found), found.site.time_zone) for found in page],
        "chips": pages.chips(params, names),
        "options": options,
        "chosen": {field: params.getlist(field) for field in options},
        "columns": COLUMNS,
        "sort": sort,
        "sizes": pages.PAGE_SIZES,
        "faults": [] if valid else filtered.errors.values(),
    }
    return render(request, "handsets.html", context)
