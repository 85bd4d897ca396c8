"""The audit log: who did what, when and from where."""

from collections.abc import Iterator
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fleet import audit_log
from fleet.roles import Role, require_role
from registrations.exports.cells import csv_bytes
from registrations.exports.export import in_threads
from registrations.shown import pages

SINGLE = ("by", "q", "object_id", "since", "until")


@require_safe
@require_role(Role.ADMIN)
def audit(request: HttpRequest) -> HttpResponse:
    """Entries, newest first; the file takes the same query string."""
    zone = pages.common_zone(pages.zones())
    params = pages.with_offsets(request.GET, zone)
    filtered = audit_log.EntryFilter(params, audit_log.entries())
    valid = filtered.is_valid()
    rows = filtered.qs if valid else filtered.queryset.none()
    found = audit_log.before(rows, params.get("before", ""))
    kinds = audit_log.kinds()
    kept = request.GET.copy()
    kept.pop("before", None)
    context = {
        "nav": "audit",
        "entries": [audit_log.described(entry) for entry in found[: audit_log.AT_ONCE]],
        "older": found[audit_log.AT_ONCE - 1].pk if len(found) > audit_log.AT_ONCE else None,
        "query": kept.urlencode(),
        "kinds": kinds,
        "chosen": params.getlist("kind"),
        "chips": pages.chips(params, {"kind": kinds, **{name: {} for name in SINGLE}}),
        "since": pages.local_input(params.get("since", ""), zone),
        "until": pages.local_input(params.get("until", ""), zone),
        "zone": zone,
        "faults": [] if valid else filtered.errors.values(),
    }
    return render(request, "audit.html", context, status=200 if valid else 400)


@require_safe
@require_role(Role.ADMIN)
def audit_file(request: HttpRequest) -> Any:
    """The same entries, all of them, as CSV."""
    zone = pages.common_zone(pages.zones())
    filtered = audit_log.EntryFilter(pages.with_offsets(request.GET, zone), audit_log.entries())
    if not filtered.is_valid():
        return HttpResponse("There is no such filter.\n", "text/plain", status=400)
    parts = _parts(audit_log.table(filtered.qs))
    name = f"rollcall-audit-{timezone.now():%Y%m%dT%H%M%SZ}.csv"
    return StreamingHttpResponse(
        in_threads(parts) if isinstance(request, ASGIRequest) else parts,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _parts(chunks: Iterator[list[tuple[Any, ...]]]) -> Iterator[bytes]:
    yield csv_bytes([audit_log.COLUMNS])
    for chunk in chunks:
        yield csv_bytes(chunk)
