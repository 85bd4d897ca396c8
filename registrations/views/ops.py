"""The page about Rollcall itself."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from fleet.roles import Role, require_role
from registrations.ops import page
from registrations.shown import pages


@never_cache
@require_safe
@require_role(Role.CONFIGURER)
def ops(request: HttpRequest) -> HttpResponse:
    """How the parts are, what they do, and what went wrong lately."""
    zone = pages.common_zone(pages.zones())
    return render(request, "ops.html", {"nav": "ops", "zone": zone, **page.shown()})
