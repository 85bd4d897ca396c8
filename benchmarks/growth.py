"""What grows with the fleet: a claim, a save and the sums of pages at 1,000, 10,000 and 100,000."""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks import database
from benchmarks.figure import Figure
from benchmarks.sizes import size

SIZES = tuple(n for n in (1_000, 10_000, 100_000) if n <= size("HANDSETS", 100_000))


def measure() -> Iterator[Figure]:
    """Yield the same figures for each size, and the largest beside the smallest."""
    found: dict[int, dict[str, Figure]] = {}
    for handsets in SIZES:
        found[handsets] = {}
        for figure in database.inside(handsets, "few_claims", "few_writes", "sums"):
            found[handsets][figure.name] = figure
            yield replace(figure, name=f"{figure.name}, of {handsets:,}")
    least, most = SIZES[0], SIZES[-1]
    for name, figure in found[most].items() if most > least else ():
        yield Figure(f"{name}: {most:,} / {least:,}", figure.value / found[least][name].value, "x")
