"""10,000 handsets at the start: claimed by a hint, registered, saved, published; no cap.

Beside SIPp and Kamailio's `uac` with the same users at the same registrar, in turn. SIPp's time is
that of its whole process; uac's from its first registration to its last.
"""

from collections.abc import Iterator
from statistics import median

from benchmarks.figure import Figure
from benchmarks.installation import bare_installation, cpu_of, ordered
from benchmarks.registrars import bound, registrars, sipp, uac, users
from benchmarks.sizes import size
from tests.support.kamailio import Kamailio
from tests.support.product import Product

HANDSETS, TIMES = size("HANDSETS", 10_000), 5
OF_SIPP, OF_UAC = 0.2, 1.5
POLICY = {"expires": 3600, "max_registrations_per_second": 0}


def measure() -> Iterator[Figure]:
    """Yield the ratios of each round, their medians, and what the worker spent."""
    with registrars() as (registrar,), bare_installation() as product:
        ordered(product, "make", HANDSETS, [[registrar.address, registrar.port]], POLICY)
        one, theirs, uacs, spent = [], [], [], []
        for _ in range(TIMES):
            theirs.append(sipp(registrar, users(HANDSETS)).seconds)
            registrar.restart_empty()
            uacs.append(uac(registrar, users(HANDSETS)))
            before = cpu_of(product.workers[0].pid)
            one.append(_started(product, registrar))
            spent.append(cpu_of(product.workers[0].pid) - before)
        yield Figure("all claimed, registered, saved, published", median(one), "s")
        yield Figure("SIPp", median(theirs), "s")
        yield Figure("uac", median(uacs), "s")
        yield Figure("the worker's CPU per handset", median(spent) / HANDSETS * 1e6, "us")
        yield Figure("SIPp's time / ours", _ratio(theirs, one), "x", at_least=OF_SIPP)
        yield Figure("our time / uac's", _ratio(one, uacs), "x", at_most=OF_UAC)
        product.start_worker()
        two = [_started(product, registrar) for _ in range(TIMES)]
        yield Figure("two worker processes / one", median(one) / median(two), "x")


def _started(product: Product, registrar: Kamailio) -> float:
    registrar.restart_empty()
    ordered(product, "rest")
    took = ordered(product, "start")
    if bound(registrar) != HANDSETS:
        raise RuntimeError(f"{bound(registrar)} of {HANDSETS} are bound")
    return float(took["seconds"])


def _ratio(above: list[float], below: list[float]) -> float:
    return median(one / other for one, other in zip(above, below, strict=True))
