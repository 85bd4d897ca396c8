"""A census told beside its chart: in sentences and by the hour, for whoever cannot see it.

Words only: what was counted comes from `queries`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.utils import timezone

from fleet.models import Server, ServerGroup
from registrations import queries
from registrations.models import State
from registrations.shown.behaviour import duration, listed
from registrations.templatetags.rollcall import BAR_ORDER, short_word

SPANS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
SPAN_WORDS = {"1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days"}
USUAL = "24h"
MOST_GAPS = 3
WELL = (State.PRIMARY, State.DISABLED)


@dataclass(frozen=True, slots=True)
class Hour:
    """One row of the table: the last minute that was counted in it."""

    at: datetime
    counts: list[int]
    """In the order of the chart's keys."""


@dataclass(frozen=True, slots=True)
class Chart:
    """What a page needs to draw a census and to tell it."""

    span: str
    seconds: int
    zone: str
    query: str
    """What the API is asked for, but for the times."""
    is_held: bool
    """It is of those a server held, wherever they are at home."""
    told: list[str]
    keys: list[tuple[str, str]]
    """The states in which anybody was, and their words."""
    hours: list[Hour]

    @property
    def title(self) -> str:
        return SPAN_WORDS[self.span]

    @property
    def spans(self) -> list[tuple[str, str]]:
        return [(span, span.replace("h", " h").replace("d", " d")) for span in SPANS]

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Every state, for the legend, which has the ones that are in the chart."""
        return [(key, _word(key)) for key in BAR_ORDER]


def chart(
    wanted: str, zone: str, group: ServerGroup | None = None, server: Server | None = None
) -> Chart:
    """Return the census of the fleet, a group or a server over the span that is `wanted`.

    A span that is none is the usual one; the last hour where nothing older has been counted.
    """
    now = timezone.now()
    span = wanted if wanted in SPANS else USUAL
    series = queries.census(now - SPANS[span], now, group, server)
    if wanted not in SPANS and _is_young(series, now):
        span = "1h"
        series = replace(series, since=now - SPANS[span])
    query = f"server={server.pk}" if server else f"group={group.pk}" if group else ""
    keys = sorted(series.counts, key=BAR_ORDER.index)
    return Chart(
        span=span,
        seconds=int(SPANS[span].total_seconds()),
        zone=zone,
        query=query,
        is_held=server is not None,
        told=told(series, zone, held_only=server is not None),
        keys=[(key, _word(key)) for key in keys],
        hours=_hours(series, keys),
    )


def _is_young(series: queries.Series, now: datetime) -> bool:
    return not series.at or series.at[0] > now - SPANS["1h"]


def _word(key: str) -> str:
    return short_word(key.removesuffix("_silent"), key.endswith("_silent"))


def told(series: queries.Series, zone: str, *, held_only: bool = False) -> list[str]:
    """Return the series in sentences: how far it reaches, its gaps, its worst moments."""
    if not series.at:
        return ["Nothing was counted in this time. Rollcall counts each minute while it runs."]
    worst = _peak(series, [key for key in series.counts if key not in WELL])
    if held_only:
        most = _peak(series, list(series.counts))
        said = (
            [f"It held {most[0]:,} at most, at {queries.clock(most[1], zone)}."] if most[0] else []
        )
        return [*said, *_reach(series, zone)]
    if not worst[0]:
        return ["Nobody was away from the primary.", *_reach(series, zone)]
    said = [f"Away from their primary: {worst[0]:,} at most, at {queries.clock(worst[1], zone)}."]
    lost = _peak(series, [k for k in series.counts if k in queries.UNSERVED])
    if lost[0]:
        said.append(f"Without a server: {lost[0]:,} at most, at {queries.clock(lost[1], zone)}.")
    return said + _reach(series, zone)


def _peak(series: queries.Series, keys: Sequence[str]) -> tuple[int, datetime]:
    """The greatest sum of these states, and when it was first."""
    sums = [sum(series.counts[key][n] for key in keys) for n in range(len(series.at))]
    most = max(sums)
    return most, series.at[sums.index(most)]


def _reach(series: queries.Series, zone: str) -> list[str]:
    gaps = _gaps(series)
    said = []
    if series.at[0] - series.since > 2 * series.step:
        said.append(f"Nothing was counted before {queries.clock(series.at[0], zone)}.")
    longest = sorted(gaps, key=lambda gap: gap[0] - gap[1])[:MOST_GAPS]
    if longest:
        spans = [
            f"{queries.clock(a, zone)} to {queries.clock(b, zone)}" for a, b in sorted(longest)
        ]
        more = len(gaps) - len(longest)
        rest = f", and {more} shorter times" if more > 1 else ", and one shorter time" * more
        said.append(f"Not counted: {listed(spans)}{rest}.")
    if series.until - series.at[-1] > 3 * series.step:
        since = duration((series.until - series.at[-1]).total_seconds() // 60 * 60)
        said.append(f"The last count is {since} old.")
    return said


def _gaps(series: queries.Series) -> list[tuple[datetime, datetime]]:
    pairs = zip(series.at, series.at[1:], strict=False)
    return [(a + series.step, b) for a, b in pairs if b - a > 1.5 * series.step]


def _hours(series: queries.Series, keys: Sequence[str]) -> list[Hour]:
    """The last counted minute of each hour (of each ten minutes of a single hour), newest first."""
    every = 600 if series.until - series.since <= SPANS["1h"] else 3600
    if series.until - series.since > SPANS["24h"]:
        every = 6 * 3600
    last = {int(at.timestamp() // every): n for n, at in enumerate(series.at)}
    return [
        Hour(series.at[n], [series.counts[key][n] for key in keys]) for n in reversed(last.values())
    ]
