"""The pages: ask queries and services, render. No rule of the product lives here."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from fleet.models import Handset, Line, Server, ServerGroup, Site
from fleet.roles import Role, require_role
from registrations import behaviour, demo, failback, pages, queries, why, wishes, wording
from registrations.models import Failback, FailbackResult, State

RECENT = 12
"""How many changes a page shows beside its subject; the history page has them all."""

POLL_OVER = 286
"""htmx: show this answer and stop asking (htmx docs, "Polling")."""


def recent(**filters: Any) -> list[dict[str, Any]]:
    """The latest changes, newest first."""
    found = queries.transitions().filter(**filters)[:RECENT]
    return [queries.transition_row(change) for change in found]


def demo_servers() -> list[Any] | None:
    """The demo's registrars for its panel; None where there is no demo."""
    return list(demo.servers()) if settings.DEMO else None


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


@require_safe
@require_role(Role.VIEWER)
def handsets(request: HttpRequest) -> HttpResponse:
    """Every registration, filtered, sorted and paged here on the server."""
    params, now = request.GET, timezone.now()
    filtered = queries.RegistrationFilter(params, queries.registrations(now))
    valid = filtered.is_valid()
    found = filtered.qs if valid else filtered.queryset.none()
    sort = params.get("sort", "name")
    page = pages.page_of(pages.sorted_by(found, sort), params)
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


HOME = (State.PRIMARY, State.DISABLED, State.HELD)
"""States in which there is nobody to bring home."""


@require_safe
@require_role(Role.VIEWER)
def groups(request: HttpRequest) -> HttpResponse:
    """All groups with their servers."""
    context = {"nav": "groups", "summary": queries.summary(timezone.now())}
    return render(request, "groups.html", context)


@require_safe
@require_role(Role.VIEWER)
def group(request: HttpRequest, pk: int) -> HttpResponse:
    """One group: its policy in sentences, its servers and who is on them."""
    found = get_object_or_404(ServerGroup, pk=pk)
    summary = queries.summary(timezone.now())
    servers = list(found.servers.all())
    parameters = wording.policy(found, servers)
    has_dns_cache = found.dns_records.exists()
    lines = Line.objects.filter(handset__group=pk, supervision=Line.Supervision.REGISTER).count()
    context = {
        "nav": "groups",
        "group": found,
        "card": next(card for card in summary["groups"] if card["id"] == pk),
        "as_of": summary["as_of"],
        "steps": behaviour.steps(found, servers, lines),
        "warnings": wording.warnings(found, servers, lines, has_dns_cache=has_dns_cache),
        "policy": parameters,
        "chosen": [each for each in parameters if not each.is_default],
        "suspected": summary["suspected_sites"],
        "homeward": behaviour.homeward(found),
        "transitions": recent(group_name=found.name),
        "zones": pages.zones(),
    }
    return render(request, "group.html", context)


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


@require_safe
@require_role(Role.VIEWER)
def jobs(request: HttpRequest) -> HttpResponse:
    """All orders to bring handsets home, newest first."""
    page = pages.page_of(failback.jobs(), request.GET)
    shown = [failback.overview(job) for job in page]
    words = failback.scope_words([job["scope"] for job in shown])
    context = {
        "nav": "jobs",
        "page": page,
        "jobs": list(zip(shown, words, strict=True)),
        "sizes": pages.PAGE_SIZES,
        "zone": pages.common_zone(pages.zones()),
    }
    return render(request, "jobs.html", context)


@require_safe
@require_role(Role.VIEWER)
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """One order: what it did to each handset and why. Polled by its own page while it runs."""
    found = get_object_or_404(failback.jobs(), pk=pk)
    shown = failback.overview(found)
    results = FailbackResult.objects.filter(failback=pk).select_related(
        "registration__line__handset"
    )
    chosen = request.GET.get("result", "")
    if chosen in FailbackResult.Result.values:
        results = results.filter(result=chosen)
    context = {
        "nav": "jobs",
        "job": shown,
        "scope": failback.scope_words([shown["scope"]])[0],
        "page": pages.page_of(results.order_by(pages.worst_first(), "pk"), request.GET),
        "kinds": pages.result_counts(pk),
        "chosen": chosen,
        "sizes": pages.PAGE_SIZES,
        "zone": pages.common_zone(pages.zones()),
    }
    polled = "HX-Request" in request.headers
    over = polled and shown["state"] != "running"
    return render(
        request,
        "_job_progress.html" if polled else "job.html",
        context,
        status=POLL_OVER if over else 200,
    )


@require_role(Role.OPERATOR)
def job_new(request: HttpRequest) -> HttpResponse:
    """GET names whom the order would touch and asks; POST gives the order."""
    now = timezone.now()
    scope = pages.scope_of(request.POST if request.method == "POST" else request.GET, now)
    if request.method == "POST":
        try:
            made = failback.order(scope, request.user.get_username())
        except failback.ScopeError as fault:
            messages.error(request, fault.sentence)
            return redirect("handsets")
        return redirect("job", made.pk)
    context = {
        "nav": "jobs",
        "preview": pages.preview(scope, now),
        "scope": failback.scope_words([scope])[0],
        "fields": pages.scope_fields(request.GET),
    }
    polled = "HX-Request" in request.headers
    return render(request, "_job_dialog.html" if polled else "job_new.html", context)


@require_POST
@require_role(Role.OPERATOR)
def job_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back what nobody has begun yet."""
    try:
        failback.cancel(get_object_or_404(Failback, pk=pk), request.user.get_username())
    except failback.FailbackIsOver as over:
        messages.info(request, str(over))
    return redirect("job", pk)


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
