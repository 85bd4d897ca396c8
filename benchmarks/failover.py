"""The primary falls silent under 10,000 handsets of a `fast_failover` group: until all are saved.

Without a cap, and with one: then the registrar counts what reaches it. Every request takes a place
under the cap, a challenge's answer too; so the least time is the requests' number over the cap.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from statistics import median

from benchmarks.figure import Figure
from benchmarks.installation import bare_installation, ordered
from benchmarks.registrars import registrars, requests
from tests.support.kamailio import Kamailio
from tests.support.product import Product

HANDSETS, TIMES = 10_000, 5
CAP = 500
SAVED_S = 3.0
OVER_FLOOR = 1.05
POLICY = {"expires": 3600, "fast_failover": True, "re_register_on": True}


def measure() -> Iterator[Figure]:
    """Yield detection and what follows it, uncapped and capped."""
    with registrars(2) as (primary, secondary), bare_installation() as product:
        places = [[each.address, each.port] for each in (primary, secondary)]
        ordered(product, "make", HANDSETS, places, POLICY | {"max_registrations_per_second": 0})
        runs = [_fail_over(product, primary, secondary) for _ in range(TIMES)]
        yield Figure("silence found out after", median(run["detected"] for run in runs), "s")
        moved = median(run["moved"] for run in runs)
        yield Figure("from there to the last one saved", moved, "s", at_most=SAVED_S)
        ordered(product, "cap", CAP)
        with _Counting(secondary) as counting:
            run = _fail_over(product, primary, secondary)
        yield Figure("most requests in any second, capped", counting.most, "", at_most=CAP)
        floor = counting.total / CAP
        name = f"time under a cap of {CAP}/s / requests over the cap"
        yield Figure(name, run["moved"] / floor, "x", at_most=OVER_FLOOR)


def _fail_over(product: Product, primary: Kamailio, secondary: Kamailio) -> dict[str, float]:
    for each in (primary, secondary):
        each.restart_empty()
    ordered(product, "rest")
    ordered(product, "start")
    primary.freeze()
    try:
        return dict(ordered(product, "await_move"))
    finally:
        primary.kill()
        primary.start()


class _Counting(threading.Thread):
    """Asks a registrar again and again how many requests it has had."""

    def __init__(self, registrar: Kamailio) -> None:
        super().__init__(daemon=True)
        self._registrar = registrar
        self._is_over = threading.Event()
        self.most = self.total = 0

    def __enter__(self) -> "_Counting":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self.join(10)

    def run(self) -> None:
        seen: deque[tuple[float, int]] = deque()
        first: int | None = None
        while not self._is_over.wait(0.05):
            try:
                before, count = time.monotonic(), requests(self._registrar)
            except OSError:
                # It is being started anew.
                seen.clear()
                first = None
                continue
            if first is None:
                first = count
            # Begun later, asked earlier: a span that is surely within a second.
            while seen and time.monotonic() - seen[0][0] > 1.0:
                seen.popleft()
            if seen:
                self.most = max(self.most, count - seen[0][1])
            seen.append((before, count))
            self.total = count - first
