"""Lines over time or size, as an SVG for the documents: readable on a light and on a dark page."""

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 36
LETTER, ROW = 7, 16
"""Width of one in the names of the series, and height of a line of them."""
FEW = 12
"""Points of which each is marked."""
INK = "#7d8590"
COLOURS = ("#2f81f7", "#d29922", "#3fb950", "#a371f7", "#f85149", "#39c5cf")
GRID_LINES = 4


def lines(title: str, across: str, series: Mapping[str, Points], *, by_tens: bool = False) -> str:
    """Return the drawing: each series a line with its name, both axes from nought.

    `across` names the level axis; `by_tens` draws both by powers of ten, for sizes.
    """
    points = [point for drawn in series.values() for point in drawn]
    if not points:
        raise ValueError("a graph needs points")
    legend = _legend(list(series))
    top = TOP + max(y for _, y in legend)
    level = _Scale([x for x, _ in points], LEFT, WIDTH - RIGHT, by_tens=by_tens)
    upright = _Scale([y for _, y in points], HEIGHT - BOTTOM, top, by_tens=by_tens)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<text x="{LEFT}" y="14" font-weight="bold">{escape(title)}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{escape(across)}</text>',
    ]
    parts += _axes(level, upright)
    for (name, drawn), colour, (at, down) in zip(series.items(), COLOURS, legend, strict=False):
        places = [(level.at(x), upright.at(y)) for x, y in drawn]
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{way}"/>')
        if len(places) <= FEW:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places
            ]
        parts.append(f'<text x="{at}" y="{32 + down}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _axes(level: "_Scale", upright: "_Scale") -> list[str]:
    parts = []
    for mark in upright.marks():
        y = upright.at(mark)
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{INK}" stroke-opacity=".3"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{mark:,.6g}</text>'
        )
    for mark in level.marks():
        x, anchor = level.at(mark), "middle"
        if x > WIDTH - RIGHT - 2 * LETTER:
            x, anchor = WIDTH - RIGHT, "end"
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - 18}" text-anchor="{anchor}">{mark:,.6g}</text>'
        )
    return parts


def _legend(names: Sequence[str]) -> list[tuple[int, int]]:
    """Where each name begins, from the left and below the first row."""
    places = []
    at, down = LEFT, 0
    for name in names:
        width = LETTER * len(name) + 20
        if at > LEFT and at + width > WIDTH - RIGHT:
            at, down = LEFT, down + ROW
        places.append((at, down))
        at += width
    return places


class _Scale:
    def __init__(
        self,
        values: Sequence[float],
        start: float,
        end: float,
        *,
        by_tens: bool,
    ) -> None:
        self._by_tens = by_tens
        least, most = min(values), max(values)
        if by_tens:
            self._least, self._most = math.floor(_tens(least)), math.ceil(_tens(most))
        else:
            self._least, self._most = 0.0, GRID_LINES * _round_step(most / GRID_LINES)
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        value = _tens(value) if self._by_tens else value
        share = (value - self._least) / ((self._most - self._least) or 1.0)
        return self._start + share * (self._end - self._start)

    def marks(self) -> list[float]:
        if self._by_tens:
            return [10.0**power for power in range(int(self._least), int(self._most) + 1)]
        step = (self._most - self._least) / GRID_LINES
        return [self._least + step * n for n in range(GRID_LINES + 1)]


def _tens(value: float) -> float:
    return math.log10(max(value, 1e-9))


def _round_step(step: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(_tens(step)) if step > 0 else 1.0
    return next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= step * 0.99)
