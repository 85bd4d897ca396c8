"""The page by which an operator lets many lines look again at once."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from fleet.roles import Role, require_role
from registrations import look_again
from registrations.shown import pages


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.OPERATOR, narrowed=True)
def resume_many(request: HttpRequest) -> HttpResponse:
    """GET names whom it would touch; POST does it, above a size only who typed how many."""
    params = request.POST if request.method == "POST" else request.GET
    rows = look_again.chosen(params.getlist("registrations"), params.get("match"), timezone.now())
    seen = look_again.preview(rows)
    wrong = ""
    if request.method == "POST":
        typed = params.get("typed", "").strip()
        if not seen.must_type or typed == str(seen.asked):
            n = look_again.resume(rows, request.user)
            messages.success(request, f"{n} line{'' if n == 1 else 's'} look again now.")
            return redirect("handsets")
        wrong = f"Type {seen.asked}: so many are meant now."
    context = {
        "nav": "handsets",
        "preview": seen,
        "fields": [(f, v) for f in ("match", "registrations") for v in params.getlist(f)],
        "moved": pages.moved(params, seen.total),
        "wrong": wrong,
    }
    page = "_resume_dialog.html" if "HX-Request" in request.headers else "resume_many.html"
    return render(request, page, context, status=422 if wrong else 200)
