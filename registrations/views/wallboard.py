"""The wallboard: one big screen, for who is logged in or holds a token; and the tokens."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleet import reach
from fleet.roles import Role, require_role
from registrations import wallboards
from registrations.models import WallboardToken
from registrations.queries.extent import EVERYTHING, Extent
from registrations.shown import pages
from registrations.shown.forms import WallboardTokenForm


@require_safe
@require_role(Role.VIEWER, narrowed=True)
def wallboard(request: HttpRequest) -> HttpResponse:
    """The whole fleet on one screen."""
    return _board(request, EVERYTHING)


@require_safe
@login_not_required
@never_cache
def wallboard_of_token(request: HttpRequest, key: str) -> HttpResponse:
    """What the token's holder may see; its URL goes to no other page and into no log."""
    try:
        extent = wallboards.extent_of(key, request.META.get("REMOTE_ADDR", ""))
    except wallboards.TooManyKeys:
        extent, status = None, 429
    else:
        status = 403
    if extent is None:
        response = render(request, "wallboard_refused.html", {"busy": status == 429}, status=status)
    else:
        response = _board(request, extent)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _board(request: HttpRequest, extent: Extent) -> HttpResponse:
    theme = request.GET.get("theme")
    board = wallboards.board(timezone.now(), extent)
    context = {
        "board": board,
        "cards": pages.groups_worst_first(board.summary["groups"]),
        "theme": theme if theme in ("light", "dark") else "dark",
        "is_limited": extent != EVERYTHING or reach.sites() is not None,
    }
    part = "HX-Request" in request.headers
    return render(request, "_wallboard.html" if part else "wallboard.html", context)


@never_cache
@require_http_methods(["GET", "POST"])
@require_role(Role.ADMIN)
def wallboard_tokens(request: HttpRequest) -> HttpResponse:
    """The screens that may watch without a log-in; a new one's URL is shown this once."""
    form = WallboardTokenForm(request.POST or None)
    url = ""
    if request.method == "POST" and form.is_valid():
        key = wallboards.make(**form.cleaned_data, by=request.user.get_username())
        url = request.build_absolute_uri(reverse("wallboard_of_token", args=[key]))
        form = WallboardTokenForm()
    tokens = WallboardToken.objects.prefetch_related("groups", "sites")
    context = {"nav": "wallboard", "tokens": tokens, "form": form, "url": url}
    refused = request.method == "POST" and not url
    return render(request, "wallboard_tokens.html", context, status=400 if refused else 200)


@require_POST
@require_role(Role.ADMIN)
def wallboard_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """End one screen's token."""
    wallboards.revoke(pk, by=request.user.get_username())
    return redirect("wallboard_tokens")
