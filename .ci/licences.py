#!/usr/bin/env python3
"""Lists the licence of everything that requirements.txt brings; exits 1 where one is not allowed.

Run with the .venv's Python, in which the packages are installed.
"""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]

ALLOWED = {
    *("MIT", "MIT-0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "PSF-2.0"),
    # certifi: a list of certificates, used as it comes.
    "MPL-2.0",
    # psycopg2 and ldap3: used as they come, through their Python interface.
    *("LGPL with exceptions", "LGPL v3"),
}
_CALLED = {
    "MIT License": "MIT",
    "New BSD": "BSD-3-Clause",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD License": "BSD",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
}
"""What packages call them that have no SPDX expression."""


def name_of(requirement: str) -> str:
    """Return a project's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", requirement).lower()


def pinned(path: Path) -> list[Requirement]:
    """Return what a requirements file names itself."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def brought(requirements: list[Requirement]) -> dict[str, Distribution]:
    """Return all that is installed because of them, by name."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    todo = list(requirements)
    while todo:
        wanted = todo.pop()
        try:
            package = distribution(wanted.name)
        except PackageNotFoundError:
            # For another system or Python: not here, not shipped.
            continue
        found[name_of(wanted.name)] = package
        for extra in {"", *wanted.extras}:
            if (key := (name_of(wanted.name), extra)) not in seen:
                seen.add(key)
                inner = map(Requirement, package.requires or ())
                todo += [r for r in inner if not r.marker or r.marker.evaluate({"extra": extra})]
    return found


def licence_of(package: Distribution) -> str:
    """Return its licence: the SPDX expression, else what its classifiers or itself call it."""
    about = package.metadata
    if expression := about.get("License-Expression"):
        return str(expression)
    said = (about.get("License") or "").split("\n")[0].strip()
    if said in ALLOWED or said in _CALLED or " OR " in said:
        return said
    kinds = (c for c in about.get_all("Classifier") or () if c.startswith("License ::"))
    return " OR ".join(sorted(kind.rpartition(" :: ")[2] for kind in kinds)) or said or "unknown"


def is_allowed(licence: str) -> bool:
    """Whether one of its alternatives is allowed in all its parts."""
    return any(
        all(_CALLED.get(part, part) in ALLOWED for part in choice.split(" AND "))
        for choice in licence.replace("(", "").replace(")", "").split(" OR ")
    )


def main() -> int:
    packages = brought(pinned(ROOT / "requirements.txt"))
    refused = 0
    for name, package in sorted(packages.items()):
        licence = licence_of(package)
        refused += not is_allowed(licence)
        mark = "" if is_allowed(licence) else "   <- not allowed (.ci/licences.py)"
        print(f"{name:28} {package.version:14} {licence}{mark}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
