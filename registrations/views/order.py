"""The order of a group's servers: saved at once, unless it makes another one the primary."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from fleet import inventory, ordering
from fleet.models import ServerGroup
from fleet.roles import Role, require_role
from registrations.shown import behaviour, conduct, pages

IN_DIALOG = {"HX-Retarget": "#dialog", "HX-Reswap": "innerHTML", "HX-Reselect": "form"}
"""htmx: not a new page, but a question before it."""


@require_POST
@require_role(Role.CONFIGURER)
def order(request: HttpRequest, pk: int) -> HttpResponse:
    """Put the servers in this order; who makes another one the primary is asked first."""
    group = get_object_or_404(ServerGroup, pk=pk)
    wanted, seen = (
        [pages.id_of(each) for each in request.POST.get(name, "").split(",")]
        for name in ("order", "seen")
    )
    try:
        asked = ordering.asked(group, wanted, seen)
        moved = conduct.new_primary(asked)
        if moved and "sure" not in request.POST:
            return _question(request, asked, moved)
        made = ordering.put(group, wanted, seen)
        messages.success(request, f"The order is {behaviour.listed([str(s) for s in made.after])}.")
    except inventory.Refused as wrong:
        messages.error(request, str(wrong))
    return redirect("group", pk)


def _question(
    request: HttpRequest, asked: ordering.Order, moved: conduct.NewPrimary
) -> HttpResponse:
    least = moved.at_least_s
    context = {
        "nav": "groups",
        "group": asked.group,
        "moved": moved,
        "order": asked.after,
        "given": {name: request.POST[name] for name in ("order", "seen")},
        "seconds": behaviour.duration(max(1, round(least))) if least else "",
    }
    if "HX-Request" in request.headers:
        answer = render(request, "_order_dialog.html", context)
        for name, value in IN_DIALOG.items():
            answer.headers[name] = value
        return answer
    return render(request, "order.html", context)
