"""Incidents as rows: what a look decided is written down, each change with a line of its own."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from registrations.incidents import past
from registrations.incidents.causes import Trouble
from registrations.incidents.course import (
    Better,
    Decision,
    Folded,
    Known,
    Opened,
    Resolved,
    Went,
)
from registrations.incidents.limits import CRITICAL
from registrations.incidents.telling import Case, Window, expected_by
from registrations.models import Incident, IncidentEntry

What = IncidentEntry.What


def known(incident: Incident) -> Known:
    """Return an incident as it is judged."""
    return Known(
        incident.pk,
        incident.cause,
        incident.kind,
        incident.severity,
        incident.handsets,
        incident.most_handsets,
        seconds(incident.good_since),
        incident.relapses,
        incident.folded_into_id,
    )


def case(incident: Incident) -> Case:
    """Return an incident as rules and windows see it."""
    return Case(
        incident.kind,
        incident.severity,
        incident.detected_at.timestamp(),
        incident.most_handsets,
        incident.of_handsets,
        incident.cause.partition(":")[2] if incident.server_name else "",
        frozenset(incident.groups),
        frozenset(incident.sites),
        seconds(incident.acknowledged_at),
        seconds(incident.resolved_at),
        incident.folded_into_id is not None,
    )


def seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def keep(
    open_now: Iterable[Incident],
    decisions: Sequence[Decision],
    windows: Sequence[Window],
    now: datetime,
) -> None:
    """Write down what was decided of the incidents that are not over. Causes come first."""
    by_cause = {incident.cause: incident for incident in open_now}
    entries: list[IncidentEntry] = []
    for decision in decisions:
        if isinstance(decision, Opened):
            _open(decision.trouble, by_cause, entries, now)
        else:
            _go_on(decision, by_cause, entries, now)
    for incident in by_cause.values():
        if incident.resolved_at is None:
            _expect(incident, windows, now)
    IncidentEntry.objects.bulk_create(entries)


def _open(
    trouble: Trouble, by_cause: dict[str, Incident], entries: list[IncidentEntry], now: datetime
) -> None:
    fields = _told(trouble) | {
        "kind": trouble.kind,
        # It stays what it was told as.
        "title": trouble.said.title[:200],
        "severity": trouble.severity,
        "opened_at": datetime.fromtimestamp(trouble.since, UTC),
        "detected_at": now,
        "most_handsets": trouble.handsets,
        "folded_into": by_cause.get(trouble.under),
    }
    incident, is_new = Incident.objects.get_or_create(
        cause=trouble.cause, resolved_at=None, defaults=fields
    )
    by_cause[trouble.cause] = incident
    if is_new:
        entries.append(_entry(incident, What.OPENED, now, incident.happened))


def _told(trouble: Trouble) -> dict[str, Any]:
    """What of an incident follows the facts from look to look."""
    return {
        "happened": trouble.said.happened[:500],
        "remedy": trouble.said.remedy[:500],
        "server_id": trouble.server_id,
        "server_name": trouble.server,
        "registration_id": trouble.registration_id,
        "groups": list(trouble.groups),
        "sites": list(trouble.sites),
        "handsets": trouble.handsets,
        "of_handsets": trouble.of,
    }


def _go_on(
    decision: Went | Folded | Better | Resolved,
    by_cause: dict[str, Incident],
    entries: list[IncidentEntry],
    now: datetime,
) -> None:
    incident = by_cause[decision.known.cause]
    if isinstance(decision, Went):
        for what, said in decision.entries:
            entries.append(_entry(incident, What(what), now, said))
        _follow(incident, decision)
    elif isinstance(decision, Folded):
        into = by_cause[decision.into]
        entries.append(_entry(incident, What.FOLDED, now, into.title))
        _set(incident, {"folded_into": into})
    elif isinstance(decision, Better):
        entries.append(_entry(incident, What.BETTER, now))
        _set(incident, {"good_since": now, "handsets": 0})
    else:
        _set(incident, {"resolved_at": now, "handsets": 0})
        _set(incident, {"happened": past.happened(_past(incident))[:500]})
        entries.append(_entry(incident, What.RESOLVED, now, incident.happened))


def _past(incident: Incident) -> past.Past:
    return past.Past(
        incident.kind,
        incident.title,
        incident.server_name,
        incident.groups,
        incident.sites,
        incident.most_handsets,
        incident.lasted_s or 0.0,
        is_one=incident.registration_id is not None,
    )


def _follow(incident: Incident, went: Went) -> None:
    """Take the facts as they are now; the worst of them stays in mind."""
    fields = _told(went.trouble) | {"good_since": None}
    # A site that recovered first is touched nonetheless.
    fields["sites"] = sorted({*incident.sites, *went.trouble.sites})
    fields["groups"] = sorted({*incident.groups, *went.trouble.groups})
    fields["most_handsets"] = max(incident.most_handsets, went.trouble.handsets)
    fields["of_handsets"] = max(incident.of_handsets, went.trouble.of)
    if went.trouble.severity == CRITICAL:
        fields["severity"] = CRITICAL
    if went.relapsed:
        fields["relapses"] = incident.relapses + 1
    _set(incident, fields)


def _expect(incident: Incident, windows: Sequence[Window], now: datetime) -> None:
    window = expected_by(case(incident), windows, now.timestamp())
    _set(incident, {"expected": window.name[:200] if window is not None else ""})


def _set(incident: Incident, fields: dict[str, Any]) -> None:
    """Write only what changed: most looks change nothing."""
    changed = [name for name, value in fields.items() if getattr(incident, name) != value]
    for name in changed:
        setattr(incident, name, fields[name])
    if changed:
        names = {name.removesuffix("_id") for name in changed}
        incident.save(update_fields=names)


def _entry(incident: Incident, what: What, at: datetime, said: str = "") -> IncidentEntry:
    return IncidentEntry(incident=incident, what=what, at=at, said=said[:500])
