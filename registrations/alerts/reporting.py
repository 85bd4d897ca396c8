"""The report by mail: how the last day or week was, to channels that ask for it.

It leaves at the channel's hour, by the clock of its zone, once for each period; what was last sent
stands in the channel's row and moves in the transaction that queues the mail.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.template.loader import render_to_string

from fleet.models import Server
from registrations import proving, queries
from registrations.alerts import queue
from registrations.incidents.message import Message
from registrations.incidents.words import lasting
from registrations.models import Channel, Delivery, Incident

DAILY, WEEKLY = "daily", "weekly"
SPANS = {DAILY: timedelta(days=1), WEEKLY: timedelta(days=7)}
NAMES = {DAILY: "Daily report", WEEKLY: "Weekly report"}
MONDAY = 1
USUAL_HOUR = "07:00"
STALE = timedelta(hours=6)
"""A report that could not be made for so long after its hour is left out."""
MOST_INCIDENTS = 20


@dataclass(frozen=True, slots=True)
class Due:
    """A report whose time has come: of which kind, for which day or week, seen from which zone."""

    every: str
    day: date
    period: queries.Period
    zone: str


def send_reports(now: datetime) -> int:
    """Queue every report whose time has come; return how many."""
    sent = 0
    for channel in Channel.objects.filter(kind=Channel.Kind.EMAIL, is_on=True):
        for due in due_reports(channel, now):
            message = report(due, now)
            with transaction.atomic():
                mine = Channel.objects.select_for_update().get(pk=channel.pk)
                if due not in due_reports(mine, now):
                    # Another process was faster.
                    continue
                mine.told = {**(mine.told or {}), due.every: due.day.isoformat()}
                mine.save(update_fields=["told"])
                queue.enqueue(message, mine, now, what=Delivery.What.REPORT)
                sent += 1
    return sent


def due_reports(channel: Channel, now: datetime) -> list[Due]:
    """Return the reports that channel is to get now and has not got."""
    wanted = channel.settings.get("reports", ())
    zone = channel.settings.get("time_zone", "UTC")
    local = now.astimezone(queries.zone_of(zone))
    hour = time.fromisoformat(channel.settings.get("report_at", USUAL_HOUR))
    at = datetime.combine(local.date(), hour, local.tzinfo)
    if not at <= local < at + STALE:
        return []
    midnight = datetime.combine(local.date(), time(), local.tzinfo)
    return [
        Due(every, local.date(), queries.Period(midnight - SPANS[every], midnight), zone)
        for every in wanted
        if (every == DAILY or local.isoweekday() == MONDAY)
        and (channel.told or {}).get(every) != local.date().isoformat()
    ]


def report(due: Due, now: datetime) -> Message:
    """Return the mail: time on primary, incidents, who is stuck, standby readiness."""
    period = due.period
    rows = queries.report("group", period, now)
    whole = queries.whole(rows)
    incidents = Incident.objects.filter(detected_at__lt=period.end, folded_into=None).exclude(
        resolved_at__lt=period.start
    )
    shown = incidents.order_by("detected_at")[:MOST_INCIDENTS]
    last = period.end - timedelta(seconds=1)
    name = NAMES[due.every]
    span = _day(period.start, due.zone)
    if due.every == WEEKLY:
        span += f" to {_day(last, due.zone)}"
    context = {
        "head": f"{name}: {span}",
        "zone": due.zone,
        "whole": _row("All groups", whole),
        "groups": [_row(str(row.key[0]), row) for row in rows],
        "incidents": [_incident(each, due.zone, now) for each in shown],
        "more": max(0, incidents.count() - MOST_INCIDENTS),
        "stuck": whole.stuck,
        "standby": _standby(now),
        "url": settings.PUBLIC_URL,
    }
    return Message(
        f"[Rollcall] {context['head']}",
        render_to_string("mail/report.txt", context),
        render_to_string("mail/report.html", context),
        {"event": "report", "every": due.every},
    )


def _row(name: str, row: queries.ReportRow) -> dict[str, Any]:
    return {
        "name": name,
        "shares": {share: f"{100 * row.share(share):.2f} %" for share in queries.SHARES},
        "failovers": row.failovers,
        "longest": lasting(row.longest_outage) if row.longest_outage else "",
        "stuck": row.stuck,
    }


def _incident(incident: Incident, zone: str, now: datetime) -> dict[str, Any]:
    over = incident.over_at
    return {
        "title": incident.title,
        "began": queries.clock(incident.opened_at, zone, now),
        "lasted": lasting(((over or now) - incident.opened_at).total_seconds()),
        "is_over": over is not None,
        "handsets": incident.most_handsets,
    }


def _standby(now: datetime) -> list[dict[str, Any]]:
    """Return of each server that is no primary how many it is proved to take."""
    counts = queries.proof_counts(now)
    servers = Server.objects.filter(pk__in=counts, priority__gt=1).select_related("group")
    return [
        {
            "server": f"{server} of {server.group}",
            "proved": sum(n for proof, n in counts[server.pk].items() if proof in proving.TAKES),
            "of": sum(counts[server.pk].values()),
        }
        for server in servers.order_by("group__name", "priority")
    ]


def _day(at: datetime, zone: str) -> str:
    local = at.astimezone(queries.zone_of(zone))
    return f"{local.day} {local:%B}"
