"""How the cost of each handset grows with the fleet: 1,000, 10,000 and 100,000 of them.

Beside each figure stands what one item of it cost. Linear growth is a ratio of 1 between two sizes;
below that, a fixed cost is spread over more. `python -m benchmarks.drawn` draws it.
"""

from collections.abc import Callable, Iterator, Sequence

from benchmarks import growing
from benchmarks.figure import Figure
from benchmarks.growing import Grown
from benchmarks.sizes import size

SIZES = tuple(n for n in (1_000, 10_000, 100_000) if n <= size("HANDSETS", 100_000))
SOCKETS = tuple(n for n in (10, 100, 1_000) if n <= size("SOCKETS", 1_000))
LINEAR = 1.25
"""At most: what a busy minute of the machine may add to one of the two."""
EACH = ", each"

Found = dict[str, dict[int, float]]


def measure() -> Iterator[Figure]:
    """Yield figures and their cost for each item at every size, then the ratios of the latter."""
    for section in (growing.registering, growing.keeping, growing.looking):
        yield from _compared(_by_size(section, SIZES))
    yield from _compared(growing.pushing(SOCKETS))
    for section in (growing.exporting, growing.importing):
        yield from _compared(_by_size(section, SIZES))


def _by_size(
    section: Callable[[int], Iterator[Grown]], sizes: Sequence[int]
) -> Iterator[tuple[int, Grown]]:
    for count in sizes:
        for grown in section(count):
            yield count, grown


def _compared(found: Iterator[tuple[int, Grown]]) -> Iterator[Figure]:
    costs: Found = {}
    for count, grown in found:
        yield Figure(grown.name, grown.value, grown.unit, size=count)
        if grown.each is not None:
            costs.setdefault(grown.name, {})[count] = grown.each
            yield Figure(grown.name + EACH, grown.each, "us", size=count)
    for name, by_size in costs.items():
        *fewer, most = by_size
        for less in fewer:
            ratio = by_size[most] / by_size[less]
            yield Figure(f"{name}{EACH}: {most:,} / {less:,}", ratio, "x", at_most=LINEAR)
