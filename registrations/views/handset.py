"""One handset: where its lines are registered, why, and what comes next."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from fleet import provenance, zones
from fleet.models import Handset, Line, Provenance, Server
from fleet.roles import Role, require_role
from registrations import queries, ring, wishes
from registrations.models import Registration, State
from registrations.queries.spans import spans
from registrations.shown import diagrams, ladders, notifications, readiness, stays, why, wording
from registrations.views import then

HOME = (State.PRIMARY, State.DISABLED, State.HELD)
"""States in which there is nobody to bring home."""
LEAF = 8
"""Changes shown at a time, beside the line they are of."""


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def handset(request: HttpRequest, pk: int) -> HttpResponse:
    """One handset: where each of its lines is registered, why, what comes next, what was.

    With `at`, as it was then.
    """
    if "at" in request.GET:
        return then.handset(request, pk)
    now = timezone.now()
    found = get_object_or_404(Handset.objects.select_related("group", "site"), pk=pk)
    servers = list(found.group.servers.prefetch_related("health__site"))
    health = {s.pk: queries.server_condition(s.health.all(), now) for s in servers}
    rows = list(_lines(found, now))
    proofs = readiness.rows_of([row.pk for row in rows], now)
    lines = [_line(row, servers, health) | {"proofs": proofs[row.pk]} for row in rows]
    context = {
        "nav": "handsets",
        "handset": found,
        "zone": found.site.time_zone,
        "zones": {found.site.name: found.site.time_zone},
        "lines": lines,
        "unsupervised": found.lines.filter(registration__isnull=True),
        "servers": [(server, health[server.pk]) for server in servers],
        "looks": readiness.LOOKS,
        **_reports(request, found),
        "away": any(_is_away(line["row"]) for line in lines),
        **_moves(found, request.GET),
    }
    if imported := Provenance.objects.filter(handset=found).first():
        context |= {"imported": imported, "origins": provenance.of_handset(found, imported)}
    if lines:
        wanted = request.GET.get("line", "")
        chosen = next((line for line in lines if str(line["row"]["id"]) == wanted), lines[0])
        context |= {
            "chosen": chosen,
            **_stays(chosen["registration"], servers, request.GET.get("span", ""), now),
            "trace": _trace(chosen["registration"], servers, request.GET.get("server", "")),
            "depth": ring.DEPTH,
        }
    return render(request, "handset.html", context)


def _reports(request: HttpRequest, found: Handset) -> dict[str, Any]:
    """What the handset says of itself, and where it says so."""
    told = notifications.of_handset(found)
    address = told["address"]
    url = notifications.url(address, request.build_absolute_uri) if address else ""
    return {"reports": told, "reports_url": url}


def _is_away(row: Mapping[str, Any]) -> bool:
    """Whether an order could bring it home."""
    is_ours = row["supervision"] == Line.Supervision.REGISTER
    return is_ours and row["state"] not in HOME


def _lines(found: Handset, now: datetime) -> QuerySet[Registration]:
    of_it = queries.registrations(now).filter(line__handset=found).order_by("line__number")
    return queries.with_memory(of_it)


def _line(
    line: Any, servers: Sequence[Server], health: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    """One line's situation, as the page words it."""
    row = queries.row(line)
    said = why.why(line, {server.pk: server for server in servers})
    return {
        "row": row,
        "registration": line,
        "told": wording.explain(row, line.line.supervision),
        "why": said,
        "standings": why.standings(said, servers, health),
        "asked": wishes.WORDS.get(line.wish, "") if line.wish_by else "",
        "may_resume": line.state in wishes.RESUMABLE
        and line.line.supervision == Line.Supervision.REGISTER,
    }


def _moves(found: Handset, params: QueryDict) -> dict[str, Any]:
    """One leaf of the handset's changes."""
    leaf = queries.leaf(
        queries.transitions().filter(mac=found.mac),
        LEAF,
        before=queries.Mark.read(params.get("before", "")),
        after=queries.Mark.read(params.get("after", "")),
    )
    rows = [queries.transition_row(change) for change in leaf.rows]
    return {"leaf": leaf, "leaf_size": LEAF, "transitions": rows}


def _stays(line: Any, servers: Sequence[Server], span: str, now: datetime) -> dict[str, Any]:
    """Which server held the line, over the period the address names."""
    span = span if span in stays.PERIODS else stays.USUAL
    period = stays.PERIODS[span]
    unknown = {line.pk: line.shown_since} if line.shown_state == State.UNKNOWN else {}
    tiled = spans([line.pk], now - period.length, now, unknown)[line.pk]
    zone = zones.chosen() or line.site.time_zone
    drawn = stays.chart(tiled, servers, period, zone)
    return {"chart": drawn, "span": span, "period": period, "periods": stays.PERIODS}


def _trace(line: Any, servers: Sequence[Server], server: str) -> dict[str, Any]:
    """What the line's agent sent and heard of late, or why that cannot be shown."""
    by_id = {each.pk: each for each in servers}
    server_id = int(server) if server.isdecimal() and int(server) in by_id else None
    try:
        found = ladders.read(line.pk, server_id)
    except ring.Unavailable as gone:
        return {"unavailable": ladders.unavailable(gone, line.site.time_zone)}
    return {
        "servers": [each for each in servers if each.register] if len(servers) > 1 else [],
        "server": server_id,
        "diagrams": diagrams.diagrams(found.tries, by_id),
        "comparisons": diagrams.versus(found.comparisons, by_id),
        "since": found.since,
        "lost": ladders.lost_sentence(found.lost, line.site.time_zone),
    }


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def handset_by_mac(request: HttpRequest, mac: str) -> HttpResponse:
    """The way from history, which knows names and MACs, to the handset, at the same time.

    Of one that is no more, its history is what there is.
    """
    found = Handset.objects.filter(mac=queries.plain_mac(mac)).first()
    if found is None:
        return redirect(f"{reverse('history')}?{urlencode({'mac': mac})}")
    asked = f"?{request.GET.urlencode()}" if request.GET else ""
    return redirect(f"{reverse('handset', args=[found.pk])}{asked}")
