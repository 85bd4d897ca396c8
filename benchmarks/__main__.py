"""`make bench`: runs the parts named, or all; prints a table and writes it as JSON.

A part is a module of this package with `measure()`, which yields Figures. No figure decides over
pass or fail of anything: the table says which promises were missed on this machine, today.
"""

import argparse
import json
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from benchmarks.figure import Figure

PARTS = (
    "sip",
    "engine",
    "start",
    "failover",
    "steady",
    "database",
    "traces",
    "proofs",
    "pages",
    "storm",
    "push",
    "past",
    "export",
    "growth",
    "imports",
)
WRITTEN = Path("bench.json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--json", type=Path, default=WRITTEN, help="where the figures go too")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; parts are {', '.join(PARTS)}")
    found: list[tuple[str, Figure]] = []
    for part in asked.parts or PARTS:
        sys.stdout.write(f"\n{part}\n")
        for figure in import_module(f"benchmarks.{part}").measure():
            sys.stdout.write(f"  {figure}\n")
            sys.stdout.flush()
            found.append((part, figure))
    told = [{"part": part, **asdict(figure), "holds": figure.holds} for part, figure in found]
    asked.json.write_text(json.dumps(told, indent=1) + "\n")
    sys.stdout.write(f"\nwritten to {asked.json}\n")


if __name__ == "__main__":
    main()
