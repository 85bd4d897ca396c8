"""What the rules say of incidents: messages queued in the transaction of what they tell of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet

from registrations.alerts import composing, queue
from registrations.alerts.keeping import case, seconds
from registrations.incidents.telling import (
    RESOLVED,
    Rule,
    Told,
    Window,
    next_telling,
    replay,
)
from registrations.models import AlertRule, Delivery, Drain, Incident, MaintenanceWindow
from registrations.queries import zone_of
from registrations.windows import Weekly

END_TOLD_FOR = timedelta(days=8)
"""So long a rule may put off by its hours that something is over."""


def windows(since: datetime) -> list[Window]:
    """Return the maintenance there is, and the drains that are not over by `since`."""
    planned = MaintenanceWindow.objects.prefetch_related("servers", "groups", "sites")
    found = [window_of(row) for row in planned]
    drains = Drain.objects.filter(Q(finished_at=None) | Q(ends_at__gt=since))
    for drain in drains.select_related("server"):
        ends = max(drain.ends_at, since) if drain.finished_at is None else drain.ends_at
        found.append(
            Window(
                f"Drain of {drain.server}",
                servers=frozenset({drain.server.place}),
                span=(drain.begins_at.timestamp(), ends.timestamp() + 1),
            )
        )
    return found


def window_of(row: MaintenanceWindow) -> Window:
    span = None
    if row.starts_at is not None and row.stops_at is not None:
        span = (row.starts_at.timestamp(), row.stops_at.timestamp())
    weekly = _weekly(row.days, row.begins, row.ends)
    return Window(
        row.name,
        frozenset(server.place for server in row.servers.all()),
        frozenset(group.name for group in row.groups.all()),
        frozenset(site.name for site in row.sites.all()),
        weekly=(weekly, zone_of(row.time_zone)) if weekly is not None else None,
        span=span,
    )


def _weekly(days: str, begins: time | None, ends: time | None) -> Weekly | None:
    if not days or begins is None or ends is None:
        return None
    return Weekly(frozenset(map(int, days)), begins, ends)


FIELDS = ("severity", "at_least", "percent", "after_s", "repeat_s", "tells_end")
HOURS = ("days", "begins", "ends", "time_zone")


def rule_of(row: AlertRule) -> Rule:
    """Return a rule as it is judged."""
    given = {name: getattr(row, name) for name in (*FIELDS, *HOURS, "kinds")}
    return rule_from(given | {"groups": row.groups.all(), "sites": row.sites.all()})


def rule_from(given: Mapping[str, Any]) -> Rule:
    """Return the rule of these fields, kept or not. Days without hours are whole days."""
    days, begins, ends, zone = (given[name] for name in HOURS)
    hours = _weekly(days, begins or time(0), ends or time(0))
    always = begins is None and len(days) == 7
    return Rule(
        **{name: given[name] for name in FIELDS},
        kinds=frozenset(given["kinds"]),
        groups=frozenset(group.name for group in given["groups"]),
        sites=frozenset(site.name for site in given["sites"]),
        hours=None if always or hours is None else (hours, zone_of(zone)),
    )


def rules() -> QuerySet[AlertRule]:
    return AlertRule.objects.filter(is_on=True).prefetch_related("groups", "sites", "channels")


def tell(planned: Sequence[Window], now: datetime) -> int:
    """Queue what is due of all rules; return how many messages that are."""
    incidents = list(_to_tell(now))
    if not incidents:
        return 0
    told = _told(incidents)
    queued = 0
    for row in rules():
        rule = rule_of(row)
        for incident in incidents:
            before = told.get((incident.pk, row.pk), Told())
            found = next_telling(rule, case(incident), before, planned)
            if found is None or found[1] > now.timestamp():
                continue
            if incident.resolved_at is not None and found[0] != RESOLVED:
                # A rule that came later has nothing to say of what is over.
                continue
            queued += _queue(found[0], incident, row, before.times, now)
    return queued


def _to_tell(now: datetime) -> QuerySet[Incident]:
    """Those that are not over, and those of whose end somebody has to hear yet."""
    mine = Delivery.objects.filter(incident=OuterRef("pk"))
    lately = Q(resolved_at__gt=now - END_TOLD_FOR) & Exists(mine)
    return Incident.objects.filter(Q(resolved_at=None) | lately).order_by("pk")


def _told(incidents: Iterable[Incident]) -> dict[tuple[int, int], Told]:
    """What each rule has said of each incident, by both."""
    mine = Delivery.objects.filter(incident__in=[i.pk for i in incidents], rule__isnull=False)
    rows = (
        mine.order_by()
        .values_list("incident", "rule")
        .annotate(
            times=Max("turn") + 1,
            last=Max("created_at"),
            ends=Count("pk", filter=Q(what=Delivery.What.RESOLVED)),
        )
    )
    return {
        (incident, rule): Told(times, seconds(last) or 0.0, ends > 0)
        for incident, rule, times, last, ends in rows
    }


def _queue(what: str, incident: Incident, rule: AlertRule, turn: int, now: datetime) -> int:
    message = composing.about(what, incident, now)
    more: dict[str, Any] = {"what": what, "incident": incident, "rule": rule, "turn": turn}
    on = (channel for channel in rule.channels.all() if channel.is_on)
    return sum(queue.enqueue(message, channel, now, **more) for channel in on)


def would_have_told(
    rule: Rule, since: datetime, until: datetime
) -> Iterator[tuple[Incident, str, datetime]]:
    """Yield what a rule would have said of the incidents detected since then, and when."""
    planned = windows(since)
    for incident in Incident.objects.filter(detected_at__gte=since).order_by("detected_at", "pk"):
        for what, at in replay(rule, case(incident), until.timestamp(), planned):
            yield incident, what, datetime.fromtimestamp(at, since.tzinfo)
