"""Waiting for a condition with a deadline, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T],
    deadline: float,
    what: str,
    *,
    every: float = 0.25,
    seen: Callable[[], object] | None = None,
) -> T:
    """Call `condition` until it is true and return what it gave.

    `deadline` is in seconds from now. `what` names what is awaited; on failure the message says
    how long it was awaited, the last value, and what `seen` (asked once, at the end) shows.
    An AssertionError of the condition counts as "not yet" and is shown in the message.
    """
    begin = time.monotonic()
    while True:
        value: T | None = None
        trouble = ""
        try:
            value = condition()
        except AssertionError as error:
            trouble = f"; it said: {error}"
        if value:
            return value
        waited = time.monotonic() - begin
        if waited >= deadline:
            picture = f"; seen instead: {seen()!r}" if seen is not None else ""
            raise AssertionError(
                f"not within {deadline:g} s: {what} (last value {value!r:.500}{trouble}{picture})"
            )
        time.sleep(min(every, max(0.01, deadline - waited)))
