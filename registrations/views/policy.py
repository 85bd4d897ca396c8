"""The page on which a configurer sets a group's policy, and sees what handsets would do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from fleet import inventory
from fleet.formats.policy import PARAMETERS, Kind, Parameter, contradictions, read_policy
from fleet.models import Line, ServerGroup
from fleet.roles import Role, require_role
from registrations.shown import behaviour, outages, pages, watching, wording

REFUSED = 422
"""The status of a form that comes back with faults."""


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter as a field of the form."""

    parameter: Parameter
    value: str
    fault: str

    @property
    def choices(self) -> list[tuple[str, str]]:
        """Value and words; none for a number."""
        if self.parameter.kind is Kind.SWITCH:
            return [("true", "1, on"), ("false", "0, off")]
        return [(word, self.parameter.written(word)) for word in self.parameter.choices]


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.CONFIGURER)
def policy(request: HttpRequest, pk: int) -> HttpResponse:
    """GET shows the form, and with values what handsets would do by them; POST sets the policy."""
    group = get_object_or_404(ServerGroup, pk=pk)
    is_post = request.method == "POST"
    given = (request.POST if is_post else request.GET).dict()
    wrong = _set(group, given)
    if is_post and not wrong:
        inventory.change(ServerGroup.objects.get(pk=pk), lambda: _saved(group))
        messages.success(request, "The policy is set; its handsets take it up now.")
        return redirect("group", pk)
    servers = list(group.servers.all())
    lines = Line.objects.filter(handset__group=pk, supervision=Line.Supervision.REGISTER).count()
    is_preview = "HX-Request" in request.headers and not is_post
    now = timezone.now()
    context = {
        "nav": "groups",
        "group": group,
        "is_preview": is_preview,
        "outages": outages.outages(group.servers.filter(register=True), now, group),
        "caveat": outages.CAVEAT,
        "now": now,
        "zone": pages.common_zone(pages.zones()),
        "fields": [
            Field(p, given.get(p.name, _written(getattr(group, p.name))), wrong.get(p.name, ""))
            for p in PARAMETERS.values()
        ],
        "wrong": wrong,
        "steps": [
            *behaviour.steps(group, servers, lines),
            *watching.steps(group, servers),
        ],
        "warnings": wording.warnings(
            group, servers, lines, has_dns_cache=group.dns_records.exists()
        ),
    }
    page = "_policy_preview.html" if is_preview else "policy.html"
    return render(request, page, context, status=REFUSED if is_post else 200)


def _set(group: ServerGroup, given: Mapping[str, str]) -> dict[str, str]:
    """Give `group` the values that are right; return a sentence for each that is not."""
    kept, wrong = read_policy({name: text for name, text in given.items() if name in PARAMETERS})
    for name, value in kept.items():
        setattr(group, name, value)
    now: dict[str, Any] = {name: getattr(group, name) for name in PARAMETERS}
    return wrong | contradictions(group.mode, now)


def _saved(group: ServerGroup) -> ServerGroup:
    group.save()
    return group


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
