"""The primary falls silent under 10,000 handsets of a `fast_failover` group: until all are saved.

Without a cap, beside SIPp with the same users at the secondary; and with one: then the registrar
counts what reaches it. Every request takes a place under the cap, a challenge's answer too; so the
least time is the requests' number over the cap. All times are from when the silence was known.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from statistics import median

from benchmarks.figure import Figure
from benchmarks.installation import bare_installation, ordered
from benchmarks.registrars import bound, registrars, requests, sipp, users
from benchmarks.sizes import size
from tests.support.kamailio import Kamailio
from tests.support.product import Product

HANDSETS, TIMES = size("HANDSETS", 10_000), size("TIMES", 5)
CAP = size("CAP", 500)
SAVED_S = 3.0
OVER_FLOOR = 1.05
GOAL_BOUND, GOAL_SAVED = 1.15, 3.0
EVERY_S = 0.05
POLICY = {"expires": 3600, "fast_failover": True, "re_register_on": True}


def measure() -> Iterator[Figure]:
    """Yield detection and what follows it, uncapped and capped."""
    with registrars(2) as (primary, secondary), bare_installation() as product:
        places = [[each.address, each.port] for each in (primary, secondary)]
        ordered(product, "make", HANDSETS, places, POLICY | {"max_registrations_per_second": 0})
        theirs, runs = [], []
        for _ in range(TIMES):
            theirs.append(sipp(secondary, users(HANDSETS)).seconds)
            runs.append(fail_over(product, primary, secondary, HANDSETS))
        yield from _told(runs, theirs)
        ordered(product, "cap", CAP)
        run = fail_over(product, primary, secondary, HANDSETS)
        yield Figure("most requests in any second, capped", run["most"], "", at_most=CAP)
        floor = run["requests"] / CAP
        yield Figure(f"time under a cap of {CAP}/s", run["saved"], "s")
        name = f"time under a cap of {CAP}/s / requests over the cap"
        yield Figure(name, run["saved"] / floor, "x", goal=OVER_FLOOR)


def _told(runs: list[dict[str, float]], theirs: list[float]) -> Iterator[Figure]:
    found = {name: median(run[name] for run in runs) for name in runs[0]}
    yield Figure("silence found out after", found["known"], "s")
    yield Figure("from there to the last one bound", found["bound"], "s")
    yield Figure("from there to the last one saved", found["saved"], "s", at_most=SAVED_S)
    yield Figure("SIPp", median(theirs), "s")
    pairs = list(zip(runs, theirs, strict=True))
    floors = [(run["known"] + run["bound"]) / (run["known"] + sipps) for run, sipps in pairs]
    yield Figure("all bound / detection and SIPp's time", median(floors), "x", goal=GOAL_BOUND)
    ratio = median(run["saved"] / sipps for run, sipps in pairs)
    yield Figure("saved / SIPp's time", ratio, "x", goal=GOAL_SAVED)


def fail_over(
    product: Product, primary: Kamailio, secondary: Kamailio, handsets: int
) -> dict[str, float]:
    """Let all register with the primary and that fall silent: what was found out, in seconds."""
    for each in (primary, secondary):
        each.restart_empty()
    ordered(product, "rest")
    ordered(product, "await_up")
    ordered(product, "start")
    primary.freeze()
    frozen_at = time.time()
    try:
        with _Watching(secondary) as watching:
            at = dict(ordered(product, "await_move"))
            watching.await_bound(handsets)
    finally:
        primary.kill()
        primary.start()
    return {
        "known": at["known"] - frozen_at,
        "bound": watching.bound_at - at["known"],
        "saved": at["saved"] - at["known"],
        "most": watching.most,
        "requests": watching.total,
    }


class _Watching(threading.Thread):
    """Asks a registrar again and again how many requests it has had, and how many it holds."""

    def __init__(self, registrar: Kamailio) -> None:
        super().__init__(daemon=True)
        self._registrar = registrar
        self._is_over = threading.Event()
        self._held = -1
        self.most = self.total = 0
        self.bound_at = 0.0
        """When it got the latest of those it holds (Unix seconds)."""

    def __enter__(self) -> "_Watching":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self.join(10)

    def await_bound(self, wanted: int) -> None:
        """Wait until it holds so many."""
        end = time.monotonic() + 10.0
        while self._held != wanted:
            if time.monotonic() > end:
                raise RuntimeError(f"{self._held} of {wanted} are bound")
            time.sleep(EVERY_S)

    def run(self) -> None:
        seen: deque[tuple[float, int]] = deque()
        first: int | None = None
        while not self._is_over.wait(EVERY_S):
            try:
                before, count = time.monotonic(), requests(self._registrar)
                self._look(bound(self._registrar))
            except OSError:
                # It was too busy to say.
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

    def _look(self, held: int) -> None:
        if held > self._held:
            self.bound_at = time.time()
        self._held = held
