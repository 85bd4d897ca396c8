"""The page on which a configurer changes many handsets at once: chosen, previewed, done as one."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from fleet import bulk
from fleet.edit_forms import BulkEdit
from fleet.roles import Role, require_role
from registrations import look_again
from registrations.shown import pages
from registrations.views.group_edit import REFUSED


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.CONFIGURER)
def bulk_edit(request: HttpRequest) -> HttpResponse:
    """GET takes the selection and asks what to change; POST previews it, and with `mark` does it.

    From the first look on it is about the same lines, whatever the filter finds meanwhile.
    """
    if request.method != "POST":
        rows = look_again.chosen(
            request.GET.getlist("registrations"), request.GET.get("match"), timezone.now()
        )
        ids = list(rows.order_by().values_list("line_id", flat=True))
        moved = pages.moved(request.GET, len(ids))
        return _page(request, ids, BulkEdit(), moved=moved)
    try:
        ids = bulk.read(request.POST.get("lines", ""))
    except ValueError as wrong:
        return HttpResponse(str(wrong), status=400)
    form = BulkEdit(request.POST)
    if not form.is_valid():
        return _page(request, ids, form, status=REFUSED)
    mark, wrong = request.POST.get("mark", ""), ""
    seen = bulk.preview(ids, form.change)
    if "apply" in request.POST and mark:
        if seen.must_be_typed and request.POST.get("typed", "").strip() != str(seen.starting):
            wrong = f"Type {seen.starting}: so many lines would begin to register."
        else:
            try:
                done = bulk.apply(ids, form.change, mark)
            except bulk.Stale as stale:
                wrong = str(stale)
                seen = bulk.preview(ids, form.change)
            else:
                messages.success(request, f"Changed: {done.said}. One entry in the audit log.")
                return _redirect(request)
    return _page(request, ids, form, seen=seen, wrong=wrong, status=REFUSED if wrong else 200)


def _redirect(request: HttpRequest) -> HttpResponse:
    """Back to the list; a form that htmx sent is followed by the whole page."""
    if "HX-Request" in request.headers:
        answer = HttpResponse(status=204)
        answer.headers["HX-Refresh"] = "true"
        return answer
    return redirect("handsets")


def _page(
    request: HttpRequest,
    ids: list[int],
    form: BulkEdit,
    *,
    seen: bulk.Preview | None = None,
    moved: str = "",
    wrong: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "nav": "handsets",
        "form": form,
        "lines": bulk.written(ids),
        "total": len(ids),
        "seen": seen,
        "moved": moved,
        "wrong": wrong,
    }
    if "HX-Request" in request.headers:
        # It shows only what came well.
        return render(request, "_bulk_edit_dialog.html", context)
    return render(request, "bulk_edit.html", context, status=status)
