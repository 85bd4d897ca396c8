"""The list of handsets: filtered, sorted and paged on the server."""

from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from fleet.roles import Role, require_role
from registrations import queries, saved_views
from registrations.shown import handset_list, pages
from registrations.templatetags import handset_table
from registrations.views import then

BEHIND_MORE = ("silent", "stuck", "supervision", "tag", "model")
"""Filters that share one menu."""


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def handsets(request: HttpRequest) -> HttpResponse:
    """Every registration, filtered, sorted and paged on the server; with `at`, as it was then."""
    if "at" in request.GET:
        return then.handsets(request)
    seen = handset_list.look(request.GET, request.user, timezone.now())
    page, offered = seen.page(), handset_list.options()
    kept = seen.view or seen.base
    chosen = {field: seen.params.getlist(field) for field in seen.filtered.base_filters}
    context = {
        "nav": "handsets",
        "seen": seen,
        "free": handset_list.free(seen),
        "page": page,
        "rows": [(queries.row(found), found.site.time_zone) for found in page],
        "chips": handset_list.chips(seen, offered),
        "options": offered,
        "supervisions": handset_list.SUPERVISION,
        "silence": handset_list.SILENCE,
        "stuck": handset_list.STUCK,
        "chosen": chosen,
        "more_chosen": sum(len(chosen[field]) for field in BEHIND_MORE),
        "described": saved_views.only(seen.params, ("tag", "model")),
        "places": request.GET.urlencode(),
        "columns": seen.columns,
        "shown": [column.key for column in seen.columns],
        "all_columns": handset_table.COLUMNS.values(),
        "always": handset_table.ALWAYS,
        "views": saved_views.visible_to(request.user),
        "may_change": kept is not None and saved_views.may_change(kept, request.user),
        "sizes": pages.PAGE_SIZES,
        "export": seen.query,
        "export_formats": pages.EXPORT_FORMATS,
        "faults": seen.faults,
    }
    return render(request, "handsets.html", context)


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def places(request: HttpRequest) -> JsonResponse:
    """Which rows the same page would hold now, in order, and how many match in all."""
    seen = handset_list.look(request.GET, request.user, timezone.now())
    wanted = request.GET.get("page", "")
    number = int(wanted) if wanted.isdecimal() and len(wanted) < 9 else 1
    last = seen.pager.num_pages
    ids = seen.pager.ids(max(1, min(number, last)))
    return JsonResponse({"ids": ids, "total": seen.pager.count})


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def choices(request: HttpRequest) -> HttpResponse:
    """The menus of tags and models, which are asked for when they are opened."""
    offered = handset_list.described()
    chosen = {field: request.GET.getlist(field) for field in offered}
    return render(request, "_described.html", {"described": offered, "chosen": chosen})


@require_POST
@require_role(Role.VIEWER, narrowed=True)
def columns(request: HttpRequest) -> HttpResponse:
    """Show these columns: in a view's list until it is saved, elsewhere from now on."""
    given = QueryDict(request.POST.get("query", ""))
    seen = handset_list.look(given, request.user, timezone.now())
    keys = handset_table.known([*request.POST.getlist("columns"), *handset_table.ALWAYS])
    params = handset_list.free(seen)
    if "from" in params:
        params["columns"] = ",".join(keys)
    else:
        params.pop("columns", None)
        handset_list.remember_columns(request.user, keys)
    return redirect(f"{reverse('handsets')}?{params.urlencode()}")
