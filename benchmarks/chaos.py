"""`make chaos`: every fault of tests/integration/faults befalls a large fleet of real parts.

The tests judge as they always do; this gives them more handsets, and writes what each fault left
behind as a table into docs/reliability.md. The exit code is theirs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
FAULTS = "tests/integration/faults"

HEAD = """\
# What Rollcall survives

Made by `make chaos`; do not edit. Real parts: the product's own processes, PostgreSQL, Redis and
two Kamailio registrars, on one machine with {cores} cores that everything shares. Bindings last
20 s, and a second more for every hundred handsets. Each fault is a test in
`tests/integration/faults`, which `make test` runs with a small fleet, and each ends with the same
three questions (`tests/support/chaos.py`): is every handset that a registrar would take bound on
the right one within the bound, by the registrar's own location table; is the history one unbroken
chain for each line; did the screen never show as bound, while it called itself live, whom no
registrar held.

*Load* is renewals and changes written a second all the while. *Right after* counts from the
moment the fault is over (where it has no end: from its beginning). *On none* is the longest time
any one handset was bound nowhere, the fault included. *Lost* and *doubled* are rows of history.

| Fault | Handsets | Load | Right after | Bound | On none | Lost | Doubled | The screen said |
|---|--:|--:|--:|--:|--:|--:|--:|---|
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--handsets", type=int, default=2000)
    parser.add_argument("tests", nargs="*", default=[FAULTS], help="run these alone, write nothing")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollcall-chaos-") as folder:
        figures = Path(folder) / "figures.jsonl"
        figures.touch()
        environment = {
            **os.environ,
            "CHAOS_HANDSETS": str(asked.handsets),
            "CHAOS_FIGURES": str(figures),
        }
        command = [sys.executable, "-m", "pytest", "-v", "--timeout=1200", *asked.tests]
        code = subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode  # noqa: S603 - our own tests
        found = [json.loads(line) for line in figures.read_text().splitlines()]
    table = "".join(f"{line}\n" for line in map(row, found))
    sys.stdout.write(f"\n{table}")
    if found and asked.tests == [FAULTS]:
        PAGE.write_text(HEAD.format(cores=os.cpu_count()) + table)
    return code


def row(figures: Mapping[str, Any]) -> str:
    """Return one fault's line of the table."""
    seconds = figures["seconds"]
    cells = [
        figures["fault"],
        f"{figures['handsets']:,}",
        f"{figures['per_second']:.0f}/s",
        "never" if seconds is None else f"{seconds:.0f} s",
        f"{figures['within']:.0f} s",
        f"{figures['unbound']:.0f} s",
        str(figures["lost"]),
        str(figures["doubled"]),
        ", ".join(figures["said"]) or "live",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
