"""The servers' history: its filter and its rows."""

from typing import Any

import django_filters
from django.db.models import QuerySet

from fleet import reach
from fleet.filters import Filters, IdFilter, MomentFilter
from registrations.models import ServerChange
from registrations.queries.words import moment


def server_changes() -> QuerySet[ServerChange]:
    """Return what happened to servers, newest first; `server_change_row` needs no more queries."""
    return ServerChange.objects.order_by("-at", "-id")


class ServerChangeFilter(Filters):
    """The filter of pages and API over `server_changes()`."""

    since = MomentFilter(field_name="at", lookup_expr="gte")
    until = MomentFilter(field_name="at", lookup_expr="lt")
    server = IdFilter(field_name="server_id")
    site = IdFilter(field_name="site_id")
    group = django_filters.CharFilter(field_name="group_name")
    what = django_filters.MultipleChoiceFilter(choices=ServerChange.What.choices)

    class Meta:
        model = ServerChange
        fields: list[str] = []


def server_change_row(change: ServerChange) -> dict[str, Any]:
    """Return one change as the API sends it."""
    return {
        "id": change.pk,
        "at": moment(change.at),
        "server": change.server_id,
        "server_name": change.server_name,
        "group": change.group_name,
        "site": change.site_id,
        "site_name": change.site_name,
        "what": change.what,
        "word": str(ServerChange.What(change.what).label),
        "before": change.before,
        "until": moment(change.until),
        # What is the server's everywhere counts those of all sites.
        "reason": change.reason if change.site_name or reach.sites() is None else "",
    }
