"""`/metrics`: for a Prometheus with a viewer's API token, or on this machine itself."""

import ipaddress

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from fleet import tokens
from fleet.roles import Role, has_role, sites_of
from registrations.ops import metrics

SCHEMES = ("bearer", "token")
FORWARDED = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED")
"""How the headers begin by which a proxy gives itself away."""
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


@never_cache
@require_safe
@login_not_required
def scrape(request: HttpRequest) -> HttpResponse:
    """All metrics as text; 401 for whoever has no token and does not ask from this machine."""
    try:
        may = _token_may(request) if "Authorization" in request.headers else _is_local(request)
    except DatabaseError:
        return HttpResponse("The database cannot be asked whose token that is.\n", status=503)
    if not may:
        refused = HttpResponse("A viewer's API token is needed.\n", "text/plain", status=401)
        refused.headers["WWW-Authenticate"] = "Bearer"
        return refused
    return HttpResponse(metrics.text(), content_type=metrics.CONTENT_TYPE)


def _token_may(request: HttpRequest) -> bool:
    scheme, _, key = request.headers["Authorization"].partition(" ")
    if scheme.lower() not in SCHEMES:
        return False
    token = tokens.find(key.strip())
    return token is not None and has_role(token.user, Role.VIEWER) and sites_of(token.user) is None


def _is_local(request: HttpRequest) -> bool:
    """Say whether it comes from this machine, and not through a proxy on it.

    A proxy's requests come from its own address, or from whatever address it was told.
    """
    if settings.BEHIND_TLS or any(name.startswith(FORWARDED) for name in request.META):
        return False
    try:
        peer = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    host, _ = split_domain_port(request.get_host())
    return peer.is_loopback and host in LOCAL_NAMES
