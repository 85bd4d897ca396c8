"""What `benchmarks.growth` measures at one size, by the parts' own functions."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks import database, engine, failover, imports, pages, past, push, start, steady
from benchmarks.installation import bare_installation, installation, ordered
from benchmarks.registrars import registrars

EXPIRES = 300
WARM_UP_S, SECONDS = 10, 40
POLICY = {
    "expires": 3600,
    "fast_failover": True,
    "re_register_on": True,
    "max_registrations_per_second": 0,
}
PAGES = {"overview": "", "list": "handsets/", "list of a state": "handsets/?state=secondary"}
AT_ONCE = {"a claim of 500": 500, "500 results saved": 500, "fifty rows of the list": 50}
"""Of what the size of the fleet is not the number of items."""


@dataclass(frozen=True, slots=True)
class Grown:
    """One figure at one size; `each` is what an item cost, in microseconds, where items are told.

    An item is a handset, or what the name says: a row, a change, a delivery to one socket.
    """

    name: str
    value: float
    unit: str
    each: float | None = None


def registering(handsets: int) -> Iterator[Grown]:
    """The engine alone, then a fleet's start, its rest, what it took of memory, its failover."""
    times = 3 if handsets < 100_000 else 1
    with registrars(2) as (primary, secondary), bare_installation() as product:
        spent = []
        for _ in range(times):
            primary.restart_empty()
            spent.append(engine.spent(primary, handsets))
        cpu = median(spent)
        yield Grown("engine", handsets / cpu, "/CPU s", cpu / handsets * 1e6)
        places = [[each.address, each.port] for each in (primary, secondary)]
        ordered(product, "make", handsets, places, POLICY)
        taken = [start.started(product, primary, handsets) for _ in range(times)]
        for name, took in (
            ("whole path", median(one.seconds for one in taken)),
            ("whole path, CPU of the worker", median(one.cpu for one in taken)),
        ):
            yield Grown(name, took, "s", took / handsets * 1e6)
        ordered(product, "settle", EXPIRES, handsets)
        share = steady.share(product, WARM_UP_S, SECONDS)
        a_second = handsets / (EXPIRES - EXPIRES // 10)
        yield Grown("steady, CPU of all", share, "% core", share / 100 / a_second * 1e6)
        for part, mb in steady.memory(product).items():
            yield Grown(f"memory of {part}", mb, "MB")
        run = failover.fail_over(product, primary, secondary, handsets)
        for name in ("bound", "saved"):
            yield Grown(f"failover, all {name}", run[name], "s", run[name] / handsets * 1e6)


def keeping(handsets: int) -> Iterator[Grown]:
    """What workers and pages ask of the database."""
    for found in database.inside(handsets, "few_claims", "few_writes", "sums"):
        items = AT_ONCE.get(found.name, handsets)
        yield Grown(found.name, found.value, found.unit, found.value / items * 1000)


def looking(handsets: int) -> Iterator[Grown]:
    """Pages, and a storm in which all change before a hundred browsers."""
    with installation(handsets) as product:
        served = pages.server(product)
        for name, path in PAGES.items():
            took = served(f"/{path}")
            yield Grown(name, took, "ms", took / handsets * 1000)
        told, spent = push.stormed(product, push.shown(product)[0])
        yield Grown("storm of changes, p99", told["p99"] * 1000, "ms")
        yield Grown("storm of changes, CPU of web", spent, "s", spent / handsets * 1e6)


def pushing(sockets: tuple[int, ...]) -> Iterator[tuple[int, Grown]]:
    """Ten messages a second to so many sockets, one number after the other."""
    with installation(push.CHANGES) as product:
        ids, length = push.shown(product)
        for count in sockets:
            told, spent = push.pushed(product, ids[: max(1, push.BYTES // length)], count)
            yield count, Grown("push, p99", told["p99"] * 1000, "ms")
            each = spent / max(1, told["messages"]) * 1e6
            yield count, Grown("push, CPU of web", spent, "s", each)


def exporting(rows: int) -> Iterator[Grown]:
    """A history of so many changes as CSV and as XLSX."""
    inside = past.inside(("fill", max(1, rows // 20), rows, 1), ("export",), ("workbook",))
    found = {figure.name: figure.value for figure in inside}
    for kind, speed in (("CSV", "CSV export, all of it"), ("XLSX", "XLSX export")):
        yield Grown(f"{kind} export", rows / found[speed], "s", 1e6 / found[speed])
        yield Grown(f"{kind} export, memory", found[f"{kind} export, memory above idle"], "MB")


def importing(handsets: int) -> Iterator[Grown]:
    """A table, and configuration files, on PostgreSQL."""
    for found in imports.of(handsets):
        if not found.name.endswith("importer"):
            name = found.name.removesuffix(", postgresql")
            yield Grown(f"import of {name}", found.value, "s", found.value / handsets * 1e6)
