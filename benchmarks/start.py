"""10,000 handsets at the start: claimed by a hint, registered, saved, published; no cap.

Beside SIPp and Kamailio's `uac` with the same users at the same registrar, in turn. SIPp's time is
that of its whole process; uac's from its first registration to its last.
"""

from collections.abc import Iterator
from statistics import median

from benchmarks.figure import Figure
from benchmarks.installation import bare_installation, cpu_of, ordered
from benchmarks.registrars import Taken, bound, registrars, sipp, uac, users
from benchmarks.sizes import size
from tests.support.kamailio import Kamailio
from tests.support.product import Product

HANDSETS, TIMES = size("HANDSETS", 10_000), 5
OF_SIPP, OF_UAC = 0.2, 1.5
GOAL_OF_SIPP, GOAL_OF_UAC = 0.4, 1.0
POLICY = {"expires": 3600, "max_registrations_per_second": 0}


def measure() -> Iterator[Figure]:
    """Yield the ratios of each round, their medians, and what the worker spent."""
    with registrars() as (registrar,), bare_installation() as product:
        ordered(product, "make", HANDSETS, [[registrar.address, registrar.port]], POLICY)
        one, theirs, uacs = [], [], []
        for _ in range(TIMES):
            theirs.append(sipp(registrar, users(HANDSETS)).seconds)
            registrar.restart_empty()
            uacs.append(uac(registrar, users(HANDSETS)))
            one.append(started(product, registrar, HANDSETS))
        times, spent = [taken.seconds for taken in one], [taken.cpu for taken in one]
        yield Figure("all claimed, registered, saved, published", median(times), "s")
        yield Figure("SIPp", median(theirs), "s")
        yield Figure("uac", median(uacs), "s")
        yield Figure("the worker's CPU per handset", median(spent) / HANDSETS * 1e6, "us")
        yield Figure(
            "SIPp's time / ours", _ratio(theirs, times), "x", at_least=OF_SIPP, goal=GOAL_OF_SIPP
        )
        yield Figure("our time / uac's", _ratio(times, uacs), "x", at_most=OF_UAC, goal=GOAL_OF_UAC)
        product.start_worker()
        two = [started(product, registrar, HANDSETS).seconds for _ in range(TIMES)]
        yield Figure("two worker processes / one", median(times) / median(two), "x")


def started(product: Product, registrar: Kamailio, handsets: int) -> Taken:
    """Let all of the fleet be due at once: what it took by the clock, and of the first worker."""
    registrar.restart_empty()
    ordered(product, "rest")
    before = cpu_of(product.workers[0].pid)
    took = ordered(product, "start")
    spent = cpu_of(product.workers[0].pid) - before
    if (held := bound(registrar)) != handsets:
        raise RuntimeError(f"{held} of {handsets} are bound")
    return Taken(float(took["seconds"]), spent)


def _ratio(above: list[float], below: list[float]) -> float:
    return median(one / other for one, other in zip(above, below, strict=True))
