"""The demo's panel: its registrars, stopped and started from the page."""

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from fleet.roles import Role, require_role
from registrations import demo


def demo_servers() -> list[Any] | None:
    """The demo's registrars for its panel; None where there is no demo."""
    return list(demo.servers()) if settings.DEMO else None


@require_POST
@require_role(Role.OPERATOR)
def demo_server(request: HttpRequest, server_id: str, action: str) -> HttpResponse:
    """Stop or start one registrar of the demo; there is no such page outside a demo."""
    if not settings.DEMO or action not in ("stop", "start"):
        raise Http404
    (demo.stop if action == "stop" else demo.start)(server_id)
    if "HX-Request" in request.headers:
        return render(request, "_demo_panel.html", {"demo_servers": demo_servers()})
    return redirect("overview")
