"""The overview: is the fleet where it should be, and what moved?"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fleet.roles import Role, require_role
from registrations import pages, queries
from registrations.views.changes import recent
from registrations.views.demo import demo_servers


@require_safe
@require_role(Role.VIEWER)
def overview(request: HttpRequest) -> HttpResponse:
    """The fleet at a glance."""
    summary = queries.summary(timezone.now())
    context = {
        "nav": "overview",
        "summary": summary,
        "transitions": recent(),
        "zones": pages.zones(),
        "demo_servers": demo_servers(),
    }
    return render(request, "overview.html", context)
