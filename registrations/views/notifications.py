"""Where handsets report what happens to them, and the pages by which that is set up."""

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from fleet.formats.notifications import MAX_BYTES
from fleet.models import Handset, ServerGroup
from fleet.roles import Role, require_role
from registrations import notifications
from registrations.shown import notifications as told
from registrations.shown import pages


@csrf_exempt  # A handset sends no cookie: who asks is told by the key alone.
@login_not_required
@never_cache
@require_POST
def notify(request: HttpRequest, key: str) -> HttpResponse:
    """Take the report of the handset whose address this is."""
    sender = request.META.get("REMOTE_ADDR", "")
    try:
        agent = request.headers.get("User-Agent", "")
        notifications.receive(key, sender, request.read(MAX_BYTES + 1), agent)
    except notifications.Refused as refused:
        answer = HttpResponse(f"{refused}\n", "text/plain; charset=utf-8", status=refused.status)
        if refused.status == 429:
            answer.headers["Retry-After"] = "60"
        return answer
    return HttpResponse("", "text/plain; charset=utf-8")


@require_safe
@never_cache
@require_role(Role.OPERATOR)
def of_group(request: HttpRequest, pk: int) -> HttpResponse:
    """Which handsets of a group have an address, what they reported last, and their files."""
    group = get_object_or_404(ServerGroup, pk=pk)
    found = told.addresses(handset__group=group)
    handsets = group.handsets.count()
    page = pages.page_of(found, request.GET)
    context = {
        "nav": "groups",
        "group": group,
        "page": page,
        "rows": [(row, next(iter(told.told(row)), None)) for row in page],
        "lacking": handsets - page.paginator.count,
        "handsets": handsets,
        "sizes": pages.PAGE_SIZES,
    }
    return render(request, "notifications.html", context)


@require_POST
@require_role(Role.OPERATOR)
def make(request: HttpRequest, pk: int) -> HttpResponse:
    """Make an address for each handset of the group that has none."""
    made = notifications.make_for_group(get_object_or_404(ServerGroup, pk=pk), by=request.user)
    plural = "" if made == 1 else "es"
    messages.success(request, f"{made} address{plural} made. Their files are in the ZIP.")
    return redirect("notifications", pk)


@require_safe
@never_cache
@require_role(Role.OPERATOR)
def files(request: HttpRequest, pk: int) -> HttpResponse:
    """The configuration files of the group's handsets that have an address."""
    group = get_object_or_404(ServerGroup, pk=pk)
    found = told.addresses(handset__group=group).iterator(chunk_size=2000)
    packed = told.files(found, request.build_absolute_uri)
    headers = {"Content-Disposition": 'attachment; filename="notifications.zip"'}
    return HttpResponse(packed, "application/zip", headers=headers)


@require_POST
@require_role(Role.OPERATOR)
def renew(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a handset another address, or its first one."""
    handset = get_object_or_404(Handset, pk=pk)
    notifications.renew(handset, by=request.user)
    messages.success(
        request, "A new address is made. The handset reports to it once its file has it."
    )
    return redirect(f"{reverse('handset', args=[pk])}#reports")
