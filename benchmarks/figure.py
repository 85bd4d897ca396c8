"""What a benchmark finds: one figure, its unit, and the bound the product promises, if any."""

from dataclasses import dataclass
from pathlib import Path

WRITTEN = Path("bench.json")
"""Where figures are kept for whoever reads them later."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    `at_most` or `at_least` is a promise of the product; without one the figure is told, not judged.
    `goal` is what we wish for beyond it, in the same direction; at most, where nothing is promised.
    """

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    goal: float | None = None
    size: int | None = None
    """Of how many handsets, rows or sockets, where one figure is taken at several sizes."""

    @property
    def holds(self) -> bool:
        """Whether the promise is kept; True where there is none."""
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)

    def __str__(self) -> str:
        promise = ""
        if self.at_most is not None:
            promise = f"at most {self.at_most:,.6g}"
        elif self.at_least is not None:
            promise = f"at least {self.at_least:,.6g}"
        if self.goal is not None:
            promise += f"{'; ' if promise else ''}goal {self.goal:,.6g}"
        missed = "" if self.holds else "  MISSED"
        name = self.name if self.size is None else f"{self.name}, of {self.size:,}"
        return f"{name:<66}{self.value:>12,.6g} {self.unit:<8}{promise}{missed}"
