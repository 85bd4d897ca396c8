"""The pages by which an operator resumes a line, and a configurer overrides who holds it back."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from fleet.roles import Role, require_role
from registrations import wishes
from registrations.models import Registration


@require_POST
@require_role(Role.OPERATOR, narrowed=True)
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Try again now."""
    return _wished(
        request, _row(pk), lambda: wishes.resume(pk, request.user), "It tries again now."
    )


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.CONFIGURER, narrowed=True)
def override(request: HttpRequest, pk: int) -> HttpResponse:
    """GET names whom it would touch and asks for the extension; POST does it."""
    row = _row(pk)
    if request.method == "POST":
        named = request.POST.get("extension", "")
        said = f"Extension {row.line.extension} registers now, whoever else is bound."
        return _wished(request, row, lambda: wishes.override(pk, named, request.user), said)
    polled = "HX-Request" in request.headers
    page = "_override_dialog.html" if polled else "override.html"
    return render(request, page, {"nav": "handsets", "registration": row})


def _row(pk: int) -> Registration:
    rows = Registration.objects.select_related("line__handset", "group")
    return get_object_or_404(rows.defer("snapshot", "line__auth_password"), pk=pk)


def _wished(
    request: HttpRequest, row: Registration, wish: Callable[[], None], said: str
) -> HttpResponse:
    try:
        wish()
    except (wishes.WishRefused, wishes.WrongName) as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, said)
    return redirect("handset", row.line.handset_id)
