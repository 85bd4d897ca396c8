"""How many requests a server heard in a second, judged on a machine that may be busy.

The cap is kept by a clock: between a permit and its socket a process can be put off the processor,
and what leaves late falls nearer to what follows. So it is measured meanwhile for how long this
machine puts a process off, and the second that is judged is shorter by that.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

TICK_S = 0.002
SHORTEST_S = 0.5


class Metronome:
    """`longest` is by how much its worst tick came late, in seconds."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.is_over = threading.Event()

    def tick(self) -> None:
        """Until it is over."""
        before = time.monotonic()
        while not self.is_over.wait(TICK_S):
            now = time.monotonic()
            self.longest = max(self.longest, now - before - TICK_S)
            before = now

    def most_in_a_second(self, times: Sequence[float]) -> int:
        """Return the most of `times` in any second, less what the machine took from it."""
        second = max(SHORTEST_S, 1.0 - self.longest)
        ordered = sorted(times)
        return max(
            (sum(1 for t in ordered if start <= t < start + second) for start in ordered), default=0
        )


@contextmanager
def metronome() -> Iterator[Metronome]:
    made = Metronome()
    thread = threading.Thread(target=made.tick)
    thread.start()
    try:
        yield made
    finally:
        made.is_over.set()
        thread.join()
