"""One line's spans as a chart: a lane for each server, one for none, one for what is not known.

Places are percentages of the period, which SVG takes as attributes: no inline style, and the
words keep their shape at every width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fleet.models import Server
from registrations import queries
from registrations.models import State
from registrations.queries.rows import BOUND
from registrations.queries.spans import NOTHING_KNOWN, Span
from registrations.templatetags.rollcall import span as lasting
from registrations.templatetags.rollcall import state_label, zone_of

NO_SERVER, UNKNOWN = "none", "unknown"
FINEST = 700
"""Into so many pieces a period is drawn; shorter stays in a row are drawn as one."""


@dataclass(frozen=True, slots=True)
class Period:
    """How far back a chart looks, and how far apart its ticks are."""

    word: str
    length: timedelta
    ticks: timedelta
    form: str
    """Of a tick, for strftime."""


DAY = timedelta(days=1)
PERIODS = {
    "24h": Period("24 h", DAY, timedelta(hours=4), "%H:%M"),
    "7d": Period("7 d", 7 * DAY, DAY, "%a %-d"),
    "30d": Period("30 d", 30 * DAY, 5 * DAY, "%-d %b"),
}
USUAL = "24h"


@dataclass(frozen=True, slots=True)
class Piece:
    """One stay in a lane, or many short ones; `order` counts the pieces of all lanes in time."""

    x: str
    width: str
    state: str
    kind: str
    """'' for a stay, `many` for several that are too short to tell apart, `blank` for no record."""
    words: str
    order: int


@dataclass(slots=True)
class Lane:
    """Where the line can be: a server, none, or nobody knows."""

    key: str
    name: str
    rank: int | None
    """The server's priority; None where it is no server of the group."""
    note: str = ""
    pieces: list[Piece] = field(default_factory=list)
    held: timedelta = timedelta()
    share: str = ""

    @property
    def lasted(self) -> str:
        return lasting(self.held.total_seconds())


@dataclass(frozen=True, slots=True)
class Tick:
    x: str
    word: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All lanes over one period, and how many changes it had."""

    lanes: list[Lane]
    ticks: list[Tick]
    start: datetime
    end: datetime
    changes: int
    pieces: int


def chart(spans: Sequence[Span], servers: Sequence[Server], period: Period, zone: str) -> Chart:
    """Draw spans that tile `period` up to now; times in words are in `zone`."""
    start, end = spans[0].start, spans[-1].end
    lanes = {lane.key: lane for lane in _lanes(spans, servers)}
    for span in spans:
        lanes[_key(span)].held += span.length
    order = 0
    for together in _drawable(spans, (end - start) / FINEST):
        for key in dict.fromkeys(_key(span) for span in together):
            here = [span for span in together if _key(span) == key]
            lanes[key].pieces.append(_piece(together, here, start, end, zone, order))
            order += 1
    for lane in lanes.values():
        lane.share = _share(lane.held / (end - start))
    blank = sum((s.length for s in spans if s.state == NOTHING_KNOWN), timedelta())
    if blank:
        lanes[UNKNOWN].note = f"{lasting(blank.total_seconds())} before its first record"
    changes = sum(1 for s in spans if s.change is not None and s.change.at > start)
    return Chart(
        list(lanes.values()), list(_ticks(start, end, period, zone)), start, end, changes, order
    )


def _key(span: Span) -> str:
    if span.state in (State.UNKNOWN, NOTHING_KNOWN):
        return UNKNOWN
    return f"server {span.server}" if span.state in BOUND else NO_SERVER


def _lanes(spans: Sequence[Span], servers: Sequence[Server]) -> Iterator[Lane]:
    """The servers in order, then those it was on that are none of the group's, then the others."""
    for server in servers:
        if server.register:
            yield Lane(f"server {server}", str(server), server.priority)
    known = {str(server) for server in servers if server.register}
    for name in dict.fromkeys(s.server for s in spans if s.state in BOUND):
        if name not in known:
            yield Lane(f"server {name}", name or "A server", None, "not of its group now")
    yield Lane(NO_SERVER, "No server", None)
    yield Lane(UNKNOWN, "Unknown", None)


def _drawable(spans: Sequence[Span], least: timedelta) -> Iterator[list[Span]]:
    """Spans one by one; neighbours too short to be seen come together."""
    together: list[Span] = []
    for span in spans:
        if span.length >= least or (together and span.start - together[0].start > 4 * least):
            if together:
                yield together
            together = []
        if span.length >= least:
            yield [span]
        else:
            together.append(span)
    if together:
        yield together


def _piece(
    together: Sequence[Span],
    here: Sequence[Span],
    start: datetime,
    end: datetime,
    zone: str,
    order: int,
) -> Piece:
    first, last = together[0], together[-1]
    between = f"{_clock(first.start, zone)} to {_clock(last.end, zone, end)}"
    if len(together) > 1:
        sums = sum((span.length for span in here), timedelta()).total_seconds()
        words = f"{len(together)} changes, {between}. Here for {lasting(sums)} in all."
        kind = "many"
    else:
        words = (
            f"{_what(first)}, {between} ({lasting(first.length.total_seconds())}). {_why(first)}"
        )
        kind = "blank" if first.state == NOTHING_KNOWN else ""
    return Piece(
        x=_percent((first.start - start) / (end - start)),
        width=_percent((last.end - first.start) / (end - start)),
        state=here[0].state or State.UNKNOWN.value,
        kind=kind,
        words=words.strip(),
        order=order,
    )


def _what(span: Span) -> str:
    if span.state == NOTHING_KNOWN:
        return "Not recorded"
    word = state_label(span.state)
    return f"{word}, {span.server}" if span.server else word


def _why(span: Span) -> str:
    change = span.change
    if change is None:
        return "Its history begins after that."
    parts = [queries.CAUSES.get(change.cause, change.cause), change.reason]
    if change.asked_by:
        parts.append(f"Asked by {change.asked_by}")
    if not any(parts) and span.state == State.UNKNOWN:
        return "Nothing was heard of it from then on."
    return " ".join(f"{part.rstrip('.')}." for part in parts if part)


def _clock(at: datetime, zone: str, now: datetime | None = None) -> str:
    """A moment as the chart says it; the period's own end is now."""
    if at == now:
        return "now"
    local = at.astimezone(zone_of(zone))
    today = datetime.now(UTC).astimezone(local.tzinfo).date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%-d %b %H:%M:%S}"


def _ticks(start: datetime, end: datetime, period: Period, zone: str) -> Iterator[Tick]:
    """Full local hours or days, whatever daylight saving does between them."""
    local = start.astimezone(zone_of(zone))
    days, hours = period.ticks.days, period.ticks.seconds // 3600
    at = local.replace(minute=0, second=0, microsecond=0, tzinfo=None)
    at = at.replace(hour=at.hour // hours * hours if hours else 0)
    while True:
        at += timedelta(days=days, hours=hours)
        moment = at.replace(tzinfo=local.tzinfo)
        if moment >= end:
            return
        yield Tick(_percent((moment - start) / (end - start)), at.strftime(period.form))


def _percent(part: float) -> str:
    return f"{100 * part:.3f}%"


def _share(part: float) -> str:
    if 0 < part < 0.001:
        return "< 0.1 %"
    if 0.999 < part < 1:
        return "> 99.9 %"
    return f"{100 * part:.1f} %" if 0 < part < 1 else f"{100 * part:.0f} %"
