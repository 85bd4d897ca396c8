"""A fleet at rest that renews in good time: CPU of all our processes with PostgreSQL and Redis.

100,000 handsets whose registrations last 3600 s and 300 s. The rows are made as a real agent left
them, due evenly over the renewal's period; each renews with a challenge, as a nonce is old by then.

Memory is what each process has grown by since the fleet was a tenth of that. It has done the same
before: a storm, renewals, and somebody who went through the pages; so what grows is the fleet's.
"""

import time
from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.installation import all_cpu, bare_installation, logged_in, ordered, resident_mb
from benchmarks.registrars import registrars, sipp, users
from benchmarks.sizes import size
from tests.support.kamailio import Kamailio
from tests.support.product import Product

HANDSETS = size("HANDSETS", 100_000)
FEWER = HANDSETS // 10
WARM_UP_S, SECONDS = 30, 120
SHARES, GOALS = {3600: 8.0, 300: 20.0}, {3600: 3.0, 300: 8.0}
KB_PER_HANDSET, KB_GOALS = {"worker": 4.0, "web": 0.1, "beat": 0.1}, {"worker": 1.5}
POLICY = {"expires": 3600, "max_registrations_per_second": 0}
LOOKS = 5
PAGES = ("/", "/handsets/", "/handsets/?state=secondary&page=2", "/groups/", "/history/", "/jobs/")


def measure() -> Iterator[Figure]:
    """Yield percent of a core per expiry, SIPp's for as many, and memory per handset."""
    with registrars() as (registrar,), bare_installation() as product:
        ordered(product, "make", FEWER, [[registrar.address, registrar.port]], POLICY)
        ordered(product, "start")
        ordered(product, "settle", 300, FEWER)
        share(product)
        with_few = memory(product)
        ordered(product, "add", HANDSETS)
        for expires, most in SHARES.items():
            ordered(product, "settle", expires, HANDSETS)
            yield from _told(product, registrar, expires, most)
        for part, mb in memory(product).items():
            grown = (mb - with_few[part]) * 1024 / (HANDSETS - FEWER)
            name = f"memory per handset in {part}"
            bounds = {"at_most": KB_PER_HANDSET[part], "goal": KB_GOALS.get(part)}
            yield Figure(name, grown, "kB", **bounds)


def _told(product: Product, registrar: Kamailio, expires: int, most: float) -> Iterator[Figure]:
    rate = HANDSETS / (expires - expires // 10)
    name = f"steady, {HANDSETS:,} handsets, expires {expires}"
    yield Figure(name, share(product), "% core", at_most=most, goal=GOALS[expires])
    spent = sipp(registrar, users(HANDSETS)[: int(rate * SECONDS)]).cpu / SECONDS
    yield Figure(f"SIPp for {rate:.0f} a second, in one go", 100 * spent, "% core")


def share(product: Product, warm_up: float = WARM_UP_S, seconds: float = SECONDS) -> float:
    """Percent of a core that all of it took in the seconds after the warm-up."""
    time.sleep(warm_up)
    before, began = all_cpu(product), time.monotonic()
    time.sleep(seconds)
    return 100 * (all_cpu(product) - before) / (time.monotonic() - began)


def memory(product: Product) -> dict[str, float]:
    """MB of each process, after somebody has gone through the pages."""
    client = logged_in(product)
    for path in PAGES * LOOKS:
        client.open(f"{product.url}{path}").read()
    return resident_mb(product)
