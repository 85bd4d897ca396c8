"""`python -m benchmarks.drawn`: what `make bench` wrote, for docs/performance.md.

Prints each figure, and the table of growth, as rows in Markdown; draws growth into
docs/performance, cost of each item against size, both by powers of ten.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import graph
from benchmarks.figure import WRITTEN
from benchmarks.growth import EACH

INTO = Path(__file__).resolve().parents[1] / "docs" / "performance"
GRAPHS = {
    "registering": (
        "Registering: microseconds for each handset, against their number",
        {
            "engine": "engine, CPU",
            "whole path": "whole path",
            "failover, all saved": "failover",
            "steady, CPU of all": "a renewal at rest, CPU of all processes",
        },
    ),
    "database": (
        "Database: microseconds for each row, against handsets",
        {
            "a claim of 500": "claim",
            "500 results saved": "save",
            "fifty rows of the list": "row of the list",
            "the overview's sums": "sums of the overview",
        },
    ),
    "people": (
        "Pages, push, files: microseconds for each handset, change, delivery or row",
        {
            "list": "list",
            "storm of changes, CPU of web": "change shown, CPU",
            "push, CPU of web": "delivery, CPU",
            "CSV export": "CSV",
            "XLSX export": "XLSX",
            "import of handsets from a table": "import",
        },
    ),
}

Sizes = dict[int, float]


def main() -> None:
    parser = argparse.ArgumentParser(prog="drawn", description=__doc__)
    parser.add_argument("json", type=Path, nargs="?", default=WRITTEN, help="what was written")
    parser.add_argument("--into", type=Path, default=INTO, help="the folder of the graphs")
    asked = parser.parse_args()
    told = json.loads(asked.json.read_text())
    for part in told["parts"]:
        rows = grown(part["figures"]) if part["part"] == "growth" else judged(part["figures"])
        head = f"\n{part['part']}, load {part['load']:.1f}, {part['seconds']:.0f} s"
        sys.stdout.write("\n".join([head, *rows, ""]))
        if part["part"] == "growth":
            asked.into.mkdir(parents=True, exist_ok=True)
            for name, drawn in graphs(part["figures"]):
                (asked.into / f"{name}.svg").write_text(drawn)


def judged(figures: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a row for each figure: its name, itself, what is promised, and whether it is kept."""
    for told in figures:
        name = told["name"] if told["size"] is None else f"{told['name']}, of {told['size']:,}"
        bounds = [f"{words} {_short(told[key])}" for key, words in BOUNDS if told[key] is not None]
        goal = "–" if told["goal"] is None else _short(told["goal"])
        value = f"{_short(told['value'])} {told['unit']}".strip()
        yield f"| {name} | {value} | {' '.join(bounds) or '–'} | {goal} | {_verdict(told)} |"


def _verdict(told: dict[str, Any]) -> str:
    if not told["holds"]:
        return "**missed**"
    beyond = told["goal"] is not None and (
        told["value"] >= told["goal"] if told["at_least"] else told["value"] <= told["goal"]
    )
    is_promised = told["at_least"] is not None or told["at_most"] is not None
    return "goal" if beyond else "kept" if is_promised else ""


BOUNDS = (("at_least", "at least"), ("at_most", "at most"))


def grown(figures: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a row for each name: its figures by size, and what an item costs at the largest.

    Behind it the ratios of that to the same at each smaller size.
    """
    found, units = _by_name(figures)
    ratios: dict[str, list[str]] = {}
    for told in figures:
        if told["size"] is None:
            value = f"{told['value']:.2f}"
            name = told["name"].partition(f"{EACH}: ")[0]
            ratios.setdefault(name, []).append(value if told["holds"] else f"**{value}**")
    for name, by_size in found.items():
        if name.endswith(EACH):
            continue
        values = " | ".join(f"{_short(value)} {units[name]}" for value in by_size.values())
        each = [f"{_short(value)} us" for value in found.get(name + EACH, {}).values()][-1:]
        rest = " | ".join(each + ratios.get(name, [])) or "– | – | –"
        yield f"| {name} | {values} | {rest} |"


def graphs(figures: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the name of each graph and its drawing."""
    found, _ = _by_name(figures)
    for name, (title, names) in GRAPHS.items():
        series: Mapping[str, graph.Points] = {
            shown: list(found[measured + EACH].items()) for measured, shown in names.items()
        }
        yield name, graph.lines(title, "", series, by_tens=True)


def _by_name(figures: list[dict[str, Any]]) -> tuple[dict[str, Sizes], dict[str, str]]:
    found: dict[str, Sizes] = {}
    for told in figures:
        if told["size"] is not None:
            found.setdefault(told["name"], {})[told["size"]] = told["value"]
    return found, {told["name"]: told["unit"] for told in figures}


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    main()
