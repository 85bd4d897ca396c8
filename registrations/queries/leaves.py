"""The history leaf by leaf: each in bounded time, however long it is and whatever the filter.

Leaves hang on the change they begin behind, not on a number: deep ones cost what the first costs,
and none shifts while changes come in. A filter that finds too little too slowly is asked of a few
hours, then of growing windows before them, until the leaf is full or the time is up. A leaf that
stopped so says how far it came.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from registrations.models import Transition
from registrations.queries.limits import TooLong, at_most

AT_ONCE_S = 0.06
"""How long all that is kept is searched at once."""
SEARCH_S = 0.1
"""How long its windows are searched after that, beyond the first one."""

FIRST_WINDOW = timedelta(hours=6)
WINDOWS_GROW = 6
LONGEST_WINDOW = timedelta(days=3000)

COUNT_S = 0.04
COUNTED = 10_000
"""More than this are not counted for a page."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the history: behind (or before) this change."""

    at: datetime
    pk: int

    def __str__(self) -> str:
        return f"{(self.at - EPOCH) // timedelta(microseconds=1)}-{self.pk}"

    @classmethod
    def read(cls, text: str) -> "Mark | None":
        """Return the mark that `text` writes, None where it writes none."""
        micros, _, pk = text.partition("-")
        if not (micros.isdecimal() and pk.isdecimal() and len(micros) < 17 and len(pk) < 19):
            return None
        return cls(EPOCH + timedelta(microseconds=int(micros)), int(pk))

    @classmethod
    def of(cls, change: Transition) -> "Mark":
        return cls(change.at, change.pk)

    @property
    def older(self) -> Q:
        return Q(at__lte=self.at) & ~Q(at=self.at, pk__gte=self.pk)

    @property
    def newer(self) -> Q:
        return Q(at__gte=self.at) & ~Q(at=self.at, pk__lte=self.pk)


@dataclass(frozen=True, slots=True)
class Leaf:
    """Changes, newest first, and where to go on."""

    rows: list[Transition] = field(default_factory=list)
    newer: Mark | None = None
    older: Mark | None = None
    searched_to: datetime | None = None
    """The time was up, and nothing older than this was looked at. None: nothing was left out."""


def leaf(
    found: QuerySet[Transition],
    size: int,
    *,
    before: Mark | None = None,
    after: Mark | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Leaf:
    """Return up to `size` changes of `found` older than `before`, or the next newer than `after`.

    `since` and `until` say what `found` is limited to anyway, so that nothing is searched beyond.
    """
    if after is not None:
        try:
            with at_most(SEARCH_S):
                rows = list(found.filter(after.newer).order_by("at", "pk")[: size + 1])
        except TooLong:
            return leaf(found, size, since=since, until=until)
        kept = rows[:size][::-1]
        newer = Mark.of(kept[0]) if len(rows) > size else None
        return Leaf(kept, newer=newer, older=Mark.of(kept[-1]) if kept else after)
    if before is not None:
        found = found.filter(before.older)
    top = min(at for at in (before and before.at, until, timezone.now()) if at is not None)
    rows, searched_to = _search(found.order_by("-at", "-pk"), size + 1, top, since)
    kept = rows[:size]
    older = Mark.of(kept[-1]) if len(rows) > size else None
    if searched_to is not None and older is None:
        older = Mark(searched_to, 0)
    newer = Mark.of(kept[0]) if before is not None and kept else before
    return Leaf(kept, newer=newer, older=older, searched_to=searched_to)


def _search(
    found: QuerySet[Transition], wanted: int, top: datetime, since: datetime | None
) -> tuple[list[Transition], datetime | None]:
    """Return up to `wanted` rows, and the time before which nothing was looked at, if any."""
    try:
        with at_most(AT_ONCE_S):
            return list(found[:wanted]), None
    except TooLong:
        return _search_windows(found, wanted, top, since)


def _search_windows(
    found: QuerySet[Transition], wanted: int, top: datetime, since: datetime | None
) -> tuple[list[Transition], datetime | None]:
    rows: list[Transition] = []
    ends = monotonic() + SEARCH_S
    for number, (low, high) in enumerate(_windows(top, since)):
        part: QuerySet[Any] = found if high is None else found.filter(at__lt=high)
        part = part if low is None else part.filter(at__gte=low)
        try:
            # The first window is always searched whole: else a leaf might never get on.
            with at_most(ends - monotonic() if number else 60.0):
                rows += part[: wanted - len(rows)]
        except TooLong:
            return rows, high
        if len(rows) >= wanted:
            return rows, None
        if monotonic() >= ends and low is not None:
            return rows, low
    return rows, None


def _windows(
    top: datetime, since: datetime | None
) -> Iterator[tuple[datetime | None, datetime | None]]:
    """Yield (from, before) of growing windows, newest first; the outermost have no end."""
    high, width = None, FIRST_WINDOW
    low = top - width
    while width < LONGEST_WINDOW and (since is None or low > since):
        yield low, high
        high, width = low, width * WINDOWS_GROW
        low = high - width
    yield None, high


def count(found: QuerySet[Any], most: int | None = COUNTED, seconds: float = COUNT_S) -> int | None:
    """Return how many rows there are, `most` + 1 for more; None where that takes too long."""
    try:
        with at_most(seconds):
            return found.order_by()[: None if most is None else most + 1].count()
    except TooLong:
        return None
