"""The history as a stream: what came after the last change somebody saw."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from django.db.models import Max, Min

from registrations.models import Transition
from registrations.queries.history import transition_row

AT_ONCE = 500
"""Changes per look."""
MOST_MISSED = 10_000
"""Who missed more reads the lists anew instead."""
GRACE_S = 30.0
"""A number that is left out may yet come: whoever took it writes for no longer than that."""


def is_too_old(after: int) -> bool:
    """Whether not all that came after that change can be told: it is forgotten, or too much."""
    kept = Transition.objects.aggregate(oldest=Min("pk"), newest=Max("pk"))
    if after > (kept["newest"] or 0) or after + 1 < (kept["oldest"] or 0):
        return True
    return Transition.objects.filter(pk__gt=after)[: MOST_MISSED + 1].count() > MOST_MISSED


def newest() -> int:
    """Return the number of the latest change; 0 where there is none."""
    return Transition.objects.aggregate(newest=Max("pk"))["newest"] or 0


@dataclass(slots=True)
class Feed:
    """What one listener was told. Several write the history at once, so numbers may come late."""

    last: int
    """All up to this one were told; the listener goes on behind it next time."""
    _top: int = 0
    _told: set[int] = field(default_factory=set)
    """Those beyond `last`: what is missing between them may yet come."""
    _missing_since: float | None = None

    def __post_init__(self) -> None:
        self._top = self.last

    def kept(self) -> dict[str, Any]:
        """Return how far it is, as JSON; `restored` goes on from there."""
        return {"last": self.last, "told": sorted(self._told), "since": self._missing_since}

    @classmethod
    def restored(cls, kept: Mapping[str, Any]) -> Self:
        """Return the feed that was `kept`; its looks must go on by the same clock."""
        feed = cls(kept["last"])
        feed._told = set(kept["told"])
        feed._top = max(feed._told, default=feed.last)
        feed._missing_since = kept["since"]
        return feed

    def look(self, now: float) -> list[dict[str, Any]]:
        """Return up to AT_ONCE changes that were not told yet, by number. `now`: seconds
        of one clock.

        Fewer: there are no more for now.
        """
        found = list(Transition.objects.filter(pk__gt=self._top).order_by("pk")[:AT_ONCE])
        if self._told:
            between = Transition.objects.filter(pk__gt=self.last, pk__lt=self._top)
            late = set(between.values_list("pk", flat=True)) - self._told
            found = [*Transition.objects.filter(pk__in=sorted(late)[:AT_ONCE]), *found]
        found = found[:AT_ONCE]
        self._told.update(each.pk for each in found)
        self._top = max(self._told, default=self._top)
        self._settle(now)
        return [transition_row(each) for each in found]

    def _settle(self, now: float) -> None:
        while self._told:
            following = min(self._told)
            if following > self.last + 1 and not self._is_over(now):
                return
            self._missing_since = None
            self._told.discard(following)
            self.last = following

    def _is_over(self, now: float) -> bool:
        if self._missing_since is None:
            self._missing_since = now
        return now - self._missing_since > GRACE_S or len(self._told) > MOST_MISSED
