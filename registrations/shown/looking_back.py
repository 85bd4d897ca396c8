"""What pages need that show the fleet as it was at an instant: which one, and steps from there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import QueryDict

from registrations import queries
from registrations.models import ServerChange, State
from registrations.templatetags.rollcall import state_label, zone_of

STEPS = (
    ("1 h earlier", -3600),
    ("10 min earlier", -600),
    ("1 min earlier", -60),
    ("1 min later", 60),
    ("10 min later", 600),
    ("1 h later", 3600),
)


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant in the past, and the zone its page tells times in."""

    at: datetime
    zone: str
    params: QueryDict

    @property
    def local(self) -> str:
        """As a datetime-local field takes it."""
        return self.at.astimezone(zone_of(self.zone)).strftime("%Y-%m-%dT%H:%M:%S")

    @property
    def text(self) -> str:
        """As an address carries it, with the zone's offset."""
        return _written(self.at, self.zone)

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The other parameters of the page."""
        return [
            (name, value)
            for name, values in self.params.lists()
            if name not in ("at", "page")
            for value in values
        ]

    @property
    def now(self) -> str:
        """The query string of the same page, live."""
        return self._query(None)

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Words and query strings of instants nearby; none lies ahead of now."""
        latest = datetime.now(UTC)
        there = [(word, self.at + timedelta(seconds=seconds)) for word, seconds in STEPS]
        return [(word, self._query(at)) for word, at in there if at <= latest]

    @property
    def is_older_than_kept(self) -> bool:
        return self.at < datetime.now(UTC) - timedelta(days=settings.HISTORY_DAYS)

    def _query(self, at: datetime | None) -> str:
        params = QueryDict(mutable=True)
        for name, value in self.kept:
            params.appendlist(name, value)
        if at is not None:
            params["at"] = _written(at, self.zone)
        return params.urlencode()


def _written(at: datetime, zone: str) -> str:
    whole = at.microsecond < 1000
    local = at.astimezone(zone_of(zone))
    return local.isoformat(timespec="seconds" if whole else "milliseconds")


def instant_of(params: QueryDict, zone: str, now: datetime) -> Instant | None:
    """Return the instant `at` names, a bare local time meant in `zone`; None where it names none.

    What is still to come is now. Addresses tell milliseconds: all of the one named is included.
    """
    try:
        at = datetime.fromisoformat(params.get("at", ""))
        at = at if at.tzinfo else at.replace(tzinfo=zone_of(zone))
        at = at.astimezone(UTC)
        at = min(at + timedelta(microseconds=999 - at.microsecond % 1000), now)
    except (ValueError, OverflowError):
        return None
    return Instant(at, zone, params) if at.year >= 2000 else None


class Troubles:
    """What was wrong with the servers at an instant, as the pages of then tell it."""

    def __init__(self, changes: Iterable[ServerChange]) -> None:
        self._silent = queries.silent_places(changes)
        self._told: dict[tuple[str, str], list[ServerChange]] = {}
        for change in changes:
            self._told.setdefault((change.group_name, change.server_name), []).append(change)

    def of(self, group: str, server: str) -> list[ServerChange]:
        """Return what was wrong with this server, site by site."""
        return self._told.get((group, server), [])

    def is_silent(self, row: Mapping[str, Any]) -> bool:
        """Say whether the server that held this line was silent."""
        there = (row["then_group"], row["then_server"], row["then_site"])
        return row["then_state"] in queries.BOUND and there in self._silent


def summed(counted: Iterable[Mapping[str, Any]], troubles: Troubles) -> dict[str, Any]:
    """Return counts of `queries.counts_at` as a page shows them: in all, by group, by server."""
    states, groups = queries.no_counts(), {}
    for each in counted:
        group = groups.setdefault(
            each["then_group"],
            {"name": each["then_group"], "states": queries.no_counts(), "servers": {}},
        )
        lanes = group["servers"]
        lane = lanes.setdefault(each["then_server"], queries.no_counts())
        for counts in (states, group["states"], lane):
            state = each["then_state"]
            counts[f"{state}_silent" if troubles.is_silent(each) else state] += each["n"]
    for group in groups.values():
        group["total"] = sum(group["states"].values())
        group["lanes"] = [
            {
                "name": name,
                "states": lane,
                "held": sum(lane.values()),
                "troubles": troubles.of(group["name"], name),
            }
            for name, lane in sorted(group.pop("servers").items())
            if name
        ]
    return {
        "states": states,
        "total": sum(states.values()),
        "groups": sorted(groups.values(), key=lambda group: str(group["name"])),
    }


def sentence(states: Mapping[str, int]) -> str:
    """Return in one sentence who was well, then everybody else."""
    supervised = sum(states.values()) - states[State.DISABLED]
    if not supervised:
        return "No handset was supervised then."
    parts = [f"{states[State.PRIMARY]:,} of {supervised:,} were on primary"]
    for state, count in states.items():
        if count and state not in (State.PRIMARY, State.DISABLED):
            word = state_label(state)
            parts.append(f"{count:,} {word[:1].lower()}{word[1:]}")
    return f"{'; '.join(parts)}."
