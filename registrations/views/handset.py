"""One handset: where its lines are registered, why, and what comes next."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fleet.models import Handset
from fleet.roles import Role, require_role
from registrations import queries, why, wishes, wording
from registrations.models import State
from registrations.views.changes import recent

HOME = (State.PRIMARY, State.DISABLED, State.HELD)
"""States in which there is nobody to bring home."""


@require_safe
@require_role(Role.VIEWER)
def handset(request: HttpRequest, pk: int) -> HttpResponse:
    """One handset: where each of its lines is registered, why, and what comes next."""
    now = timezone.now()
    found = get_object_or_404(Handset.objects.select_related("group", "site"), pk=pk)
    servers = list(found.group.servers.prefetch_related("health__site"))
    by_id = {server.pk: server for server in servers}
    health = {s.pk: queries.server_condition(s.health.all(), now) for s in servers}
    lines: list[dict[str, Any]] = []
    of_it = queries.registrations(now).filter(line__handset=pk).order_by("line__number")
    for line in queries.with_memory(of_it):
        row = queries.row(line)
        told = wording.explain(row, line.line.supervision)
        asked = wishes.WORDS.get(line.wish, "") if line.wish_by else ""
        may_resume = line.state in wishes.RESUMABLE
        said = why.why(line, by_id)
        lines.append(
            {
                "row": row,
                "registration": line,
                "told": told,
                "why": said,
                "standings": why.standings(said, servers, health),
                "asked": asked,
                "may_resume": may_resume,
            }
        )
    context = {
        "nav": "handsets",
        "handset": found,
        "zone": found.site.time_zone,
        "zones": {found.site.name: found.site.time_zone},
        "lines": lines,
        "unsupervised": found.lines.filter(registration__isnull=True),
        "servers": [(server, health[server.pk]) for server in servers],
        "transitions": recent(mac=found.mac),
        "away": any(line["row"]["state"] not in HOME for line in lines),
    }
    return render(request, "handset.html", context)


@require_safe
@require_role(Role.VIEWER)
def handset_by_mac(request: HttpRequest, mac: str) -> HttpResponse:
    """The way from history, which knows names and MACs, to the handset of today."""
    return redirect("handset", get_object_or_404(Handset, mac=queries.plain_mac(mac)).pk)
