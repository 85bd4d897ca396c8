"""Hours of the week by the wall clock of a place: when they are on, when they end. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Weekly:
    """Hours that begin on these ISO weekdays (1: Monday); `ends` up to `begins` is the next day."""

    days: frozenset[int]
    begins: time
    ends: time

    def on(self, day: date, zone: tzinfo) -> tuple[float, float]:
        """Return begin and end, in Unix seconds, of the hours that begin on `day`."""
        last = day if self.ends > self.begins else day + _DAY
        begin = datetime.combine(day, self.begins, zone)
        return begin.timestamp(), datetime.combine(last, self.ends, zone).timestamp()


def end_of(hours: Weekly, now: float, zone: tzinfo) -> float | None:
    """Return when the hours that are on at `now` end, in Unix seconds; None where none are on."""
    today = datetime.fromtimestamp(now, zone).date()
    # Where the clock jumps, hours of the day before may reach further than a day.
    spans = (
        hours.on(day, zone)
        for day in (today - 2 * _DAY, today - _DAY, today)
        if day.isoweekday() in hours.days
    )
    return max((end for begin, end in spans if begin <= now < end), default=None)


def next_begin(hours: Weekly, now: float, zone: tzinfo) -> float | None:
    """Return when they begin next, in Unix seconds; None where no day is named."""
    today = datetime.fromtimestamp(now, zone).date()
    days = (today + n * _DAY for n in range(9))
    begins = (hours.on(day, zone)[0] for day in days if day.isoweekday() in hours.days)
    return next((begin for begin in begins if begin > now), None)


def longest(ends: Iterable[float | None]) -> float:
    """Return the latest of these ends, in Unix seconds; 0 where nothing is on."""
    return max((end for end in ends if end is not None), default=0.0)
