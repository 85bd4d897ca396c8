"""What the browser is sent: small enough, licensed, and its colours told apart by everybody."""

import gzip
import json
import re
from itertools import combinations
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[1] / "static"
STYLE = (STATIC / "rollcall" / "rollcall.css").read_text()
MOST_BYTES = 220_000
"""Of everything a browser may load, each file gzipped."""

STATES = ["primary", "secondary", "fallback", "registering", "unregistered", "rejected", "held"]
STATES += ["unknown"]
READABLE = 4.5
"""Contrast of text against what it stands on (WCAG 2.2, 1.4.3)."""
APART = 11.0
"""Difference (CIE 1976) of two fills that may touch in a bar; 2.3 is just noticeable."""

# Viénot, Brettel and Mollon 1999: what a deuteranope sees of linear RGB.
DEUTERANOPE = ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0))


def tokens(theme: str) -> dict[str, str]:
    head = ":root {" if theme == "light" else '[data-bs-theme="dark"] {'
    block = STYLE[STYLE.index(head) :]
    return dict(re.findall(r"--rc-([a-z0-9-]+): (#[0-9a-f]{6});", block[: block.index("}")]))


def linear(colour: str) -> tuple[float, ...]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return tuple(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)


def luminance(colour: str) -> float:
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def lab(rgb: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = rgb
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def seen_by_a_deuteranope(colour: str) -> tuple[float, ...]:
    rgb = linear(colour)
    seen = (sum(m * c for m, c in zip(row, rgb, strict=True)) for row in DEUTERANOPE)
    return tuple(max(0.0, min(1.0, c)) for c in seen)


def difference(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return sum((a - b) ** 2 for a, b in zip(lab(one), lab(other), strict=True)) ** 0.5


def test_all_that_a_browser_may_load_is_small() -> None:
    loaded = [
        path
        for path in STATIC.rglob("*")
        if path.suffix in {".js", ".css", ".svg", ".woff2"} and path.is_file()
    ]
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in loaded) < MOST_BYTES


def test_every_vendored_package_keeps_its_licence() -> None:
    vendored = json.loads((STATIC.parent / "package.json").read_text())["vendor"]
    folders = {next(iter(files.values())).split("/")[0] for files in vendored.values()}
    assert [f for f in folders if not list((STATIC / "vendor" / f).glob("LICEN*"))] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_words_of_every_state_can_be_read(theme: str) -> None:
    colours = {**tokens("light"), **tokens(theme)}
    pairs = [(state, ground) for state in STATES for ground in (f"{state}-tint", "surface")]
    ratios = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < READABLE} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("eye", ["usual", "deuteranope"])
def test_no_two_states_look_alike_side_by_side(theme: str, eye: str) -> None:
    colours = {**tokens("light"), **tokens(theme)}
    see = linear if eye == "usual" else seen_by_a_deuteranope
    fills = {state: see(colours[f"{state}-fill"]) for state in STATES}
    pairs = {(a, b): difference(fills[a], fills[b]) for a, b in combinations(STATES, 2)}
    assert {pair: round(apart, 1) for pair, apart in pairs.items() if apart < APART} == {}
