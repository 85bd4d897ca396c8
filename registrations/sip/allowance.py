"""How much each of many strangers may have of us, in a table that does not grow with them."""

from collections import OrderedDict


class Allowance:
    """One bucket per source: `burst` at once, `per_second` in the long run.

    Of more than `most_sources` the one that was quiet longest is forgotten, and has a full bucket
    when it comes again: who forges addresses fills the table and shuts nobody out.
    """

    def __init__(self, per_second: float, burst: float, most_sources: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._most_sources = most_sources
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What each source may still have, and since when; the one heard last at the end."""

    def take(self, source: str, now: float) -> bool:
        """Take one at `now`, in seconds of any steady clock; False where none is left."""
        left, at = self._left.pop(source, (self._burst, now))
        left = min(self._burst, left + max(0.0, now - at) * self._per_second)
        may = left >= 1
        self._left[source] = (left - 1 if may else left, now)
        if len(self._left) > self._most_sources:
            self._left.popitem(last=False)
        return may

    def __len__(self) -> int:
        return len(self._left)
