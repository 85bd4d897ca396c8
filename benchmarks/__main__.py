"""`make bench`: runs the parts named, or all; prints a table and writes it as JSON.

A part is a module of this package with `measure()`, which yields Figures. No figure decides over
pass or fail of anything: the table says which promises were missed on this machine, today. A part
that breaks off does not take the others with it, and what was found until then is written; the
exit code says so.
"""

import argparse
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.figure import WRITTEN, Figure

PARTS = (
    "engine",
    "start",
    "failover",
    "steady",
    "database",
    "push",
    "export",
    "pages",
    "growth",
    "storm",
    "past",
    "imports",
    "proofs",
    "traces",
    "sip",
)
"""In the order of the table in docs/performance.md."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--json", type=Path, default=WRITTEN, help="where the figures go too")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; parts are {', '.join(PARTS)}")
    # By `timeout`, a closed terminal or CI: all that was started must be ended.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    told: dict[str, Any] = _machine() | {"parts": []}
    try:
        for part in asked.parts or PARTS:
            told["parts"].append(_run(part))
    finally:
        told["seconds"] = round(sum(part["seconds"] for part in told["parts"]), 1)
        asked.json.write_text(json.dumps(told, indent=1) + "\n")
        sys.stdout.write(f"\nwritten to {asked.json}, after {told['seconds']:.0f} s\n")
    sys.exit(any(part["broke_off"] for part in told["parts"]))


def _run(part: str) -> dict[str, Any]:
    """Measure one part, telling each figure as it is found."""
    load, began = os.getloadavg()[0], time.monotonic()
    sys.stdout.write(f"\n{part} (load {load:.1f})\n")
    found: list[dict[str, Any]] = []
    broke_off = ""
    try:
        for figure in _figures(part):
            sys.stdout.write(f"  {figure}\n")
            sys.stdout.flush()
            found.append(asdict(figure) | {"holds": figure.holds})
    except Exception as error:
        traceback.print_exc()
        broke_off = repr(error)
    took = round(time.monotonic() - began, 1)
    sys.stdout.write(f"  took {took:.0f} s\n")
    return {"part": part, "load": load, "seconds": took, "broke_off": broke_off, "figures": found}


def _figures(part: str) -> Iterator[Figure]:
    measure: Callable[[], Iterator[Figure]] = import_module(f"benchmarks.{part}").measure
    yield from measure()


def _machine() -> dict[str, Any]:
    """What the figures are of."""
    compiled = (Path(__file__).parents[1] / "registrations" / "compiled.json").exists()
    cores = len(os.sched_getaffinity(0))
    return {"at": datetime.now(UTC).isoformat(), "cores": cores, "compiled": compiled}


def _leave(*_: object) -> None:
    raise SystemExit(1)


if __name__ == "__main__":
    main()
