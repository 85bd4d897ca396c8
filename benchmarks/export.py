"""Exports of 100,000 changes: CSV beside COPY of the same SELECT, XLSX beside the bare library."""

from collections.abc import Iterator

from benchmarks import past
from benchmarks.figure import Figure
from benchmarks.sizes import size

ROWS = size("ROWS", 100_000)


def measure() -> Iterator[Figure]:
    """Yield rows a second, their ratios, and the memory that they take above an idle process."""
    yield from past.inside(("fill", ROWS // 20, ROWS, 1), ("export",), ("workbook",))
