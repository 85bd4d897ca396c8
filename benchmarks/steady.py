"""A fleet at rest that renews in good time: CPU of all our processes with PostgreSQL and Redis.

100,000 handsets whose registrations last 3600 s and 300 s. The rows are made as a real agent left
them, due evenly over the renewal's period; each renews with a challenge, as a nonce is old by then.
"""

import time
from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.installation import all_cpu, bare_installation, ordered, resident_kb
from benchmarks.registrars import registrars, sipp, users
from benchmarks.sizes import size
from tests.support.kamailio import Kamailio
from tests.support.product import Product

HANDSETS = size("HANDSETS", 100_000)
FEWER = HANDSETS // 10
WARM_UP_S, SECONDS = 30, 120
SHARES = {3600: 8.0, 300: 20.0}
KB_PER_HANDSET = 4.0
POLICY = {"expires": 3600, "max_registrations_per_second": 0}


def measure() -> Iterator[Figure]:
    """Yield percent of a core per expiry, SIPp's for as many, and memory per handset."""
    with registrars() as (registrar,), bare_installation() as product:
        ordered(product, "make", HANDSETS, [[registrar.address, registrar.port]], POLICY)
        ordered(product, "start", 1)
        ordered(product, "settle", 3600, FEWER)
        _share(product)
        with_few = resident_kb(product)
        for expires, most in SHARES.items():
            ordered(product, "settle", expires, HANDSETS)
            yield from _told(product, registrar, expires, most)
        grown = (resident_kb(product) - with_few) / (HANDSETS - FEWER)
        yield Figure("memory per handset in the worker", grown, "kB", at_most=KB_PER_HANDSET)


def _told(product: Product, registrar: Kamailio, expires: int, most: float) -> Iterator[Figure]:
    rate = HANDSETS / (expires - expires // 10)
    name = f"steady, {HANDSETS:,} handsets, expires {expires}"
    yield Figure(name, _share(product), "% core", at_most=most)
    spent = sipp(registrar, users(HANDSETS)[: int(rate * SECONDS)]).cpu / SECONDS
    yield Figure(f"SIPp for {rate:.0f} a second, in one go", 100 * spent, "% core")


def _share(product: Product) -> float:
    time.sleep(WARM_UP_S)
    before, began = all_cpu(product), time.monotonic()
    time.sleep(SECONDS)
    return 100 * (all_cpu(product) - before) / (time.monotonic() - began)
