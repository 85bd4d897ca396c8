"""The history: its filter and its rows."""

from typing import Any

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from fleet.filters import Filters, IdFilter, MomentFilter
from fleet.models import ServerGroup, Site
from registrations.models import State, Transition
from registrations.queries.words import moment, plain_mac

CAUSES = {
    "first": "First registration",
    "seen": "First look",
    "failover": "Failover",
    "failback": "Failback",
    "forced_failback": "Forced failback",
    "moved_away": "Moved away by an order",
    "fallback": "Fallback",
    "restored": "Restored",
    "refused": "Refused",
    "held": "Held back",
    "overridden": "Overridden",
    "lost": "Lost",
    "enabled": "Switched on",
    "disabled": "Switched off",
    "changed": "Configuration changed",
    "gap": "Gap in supervision",
    "stuck": "Agent begun anew",
    "removed": "Removed from the fleet",
}


def transitions() -> QuerySet[Transition]:
    """Return the whole history, newest first; `transition_row` needs no further query."""
    return Transition.objects.order_by("-at", "-id")


def _known_group(name: str) -> None:
    groups, told = ServerGroup.objects.filter(name=name), Transition.objects.order_by()
    if not (groups.exists() or told.filter(group_name=name).exists()):
        raise ValidationError("No group of that name is known.")


def _known_site(name: str) -> None:
    sites, told = Site.objects.filter(name=name), Transition.objects.order_by()
    if not (sites.exists() or told.filter(site_name=name).exists()):
        raise ValidationError("No site of that name is known.")


class TransitionFilter(Filters):
    """The filter of history page, API and export over `transitions()`; by names, as copied."""

    since = MomentFilter(field_name="at", lookup_expr="gte")
    until = MomentFilter(field_name="at", lookup_expr="lt")
    group = django_filters.CharFilter(field_name="group_name", validators=[_known_group])
    site = django_filters.CharFilter(field_name="site_name", validators=[_known_site])
    mac = django_filters.CharFilter(method="by_mac", label="MAC")
    registration = IdFilter(field_name="registration_id")
    # No join, so nothing comes twice; DISTINCT would sort all that is kept.
    state = django_filters.MultipleChoiceFilter(
        field_name="to_state", choices=State.choices, distinct=False
    )
    from_server = django_filters.CharFilter()
    to_server = django_filters.CharFilter()
    cause = django_filters.MultipleChoiceFilter(choices=tuple(CAUSES.items()), distinct=False)
    q = django_filters.CharFilter(method="by_text", label="Search")

    class Meta:
        model = Transition
        fields: list[str] = []

    def by_mac(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        return rows.filter(mac=plain_mac(value))

    def by_text(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Keep rows in which every word is found in name, extension, MAC, server or reason."""
        for word in value.split():
            found = Q()
            for name in ("handset_name", "extension", "from_server", "to_server", "reason"):
                found |= Q(**{f"{name}__icontains": word})
            if mac := plain_mac(word):
                found |= Q(mac__icontains=mac)
            rows = rows.filter(found)
        return rows


def transition_row(transition: Transition) -> dict[str, Any]:
    """Return one change as API, export and socket send it."""
    return {
        "id": transition.pk,
        "registration": transition.registration_id,
        "at": moment(transition.at),
        "mac": transition.mac,
        "extension": transition.extension,
        "name": transition.handset_name,
        "group": transition.group_name,
        "site": transition.site_name,
        "from": {"state": transition.from_state, "server": transition.from_server},
        "to": {"state": transition.to_state, "server": transition.to_server},
        "cause": transition.cause,
        "cause_word": CAUSES.get(transition.cause, transition.cause),
        "code": transition.code,
        "reason": transition.reason,
        "detect_seconds": transition.detect_seconds,
        "seconds": transition.seconds,
        "asked_by": transition.asked_by,
    }
