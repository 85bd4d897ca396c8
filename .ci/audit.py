#!/usr/bin/env python3
"""Asks PyPI's advisories about everything installed in .venv; exits 1 for a known vulnerability.

One that does us no harm stands in .ci/audit-ignored with the reason. Where no advisory can be had,
one line says so and the build goes on: the check is then somebody else's, not silently passed.
"""

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
IGNORED = HERE / "audit-ignored"
TOOL = "pip-audit==2.10.1"
SECONDS = 300


def ignored(text: str) -> dict[str, str]:
    """Return the reasons by id: one `ID reason` per line, `#` begins a comment."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return {name: reason.strip() for name, _, reason in pairs}


def judged(report: dict, reasons: dict[str, str]) -> tuple[list[str], bool]:
    """Return what is to be said of pip-audit's report, and whether the build must stop."""
    said, stops = [], False
    packages = report["dependencies"]
    asked = [package for package in packages if "vulns" in package]
    if not asked:
        return ["audit: NOT DONE, the advisory service knows none of our packages here"], False
    for package in asked:
        for one in package["vulns"]:
            names = [one["id"], *one.get("aliases", ())]
            reason = next((reasons[name] for name in names if name in reasons), "")
            stops |= not reason
            fixed = ", ".join(one.get("fix_versions", ())) or "nothing yet"
            what = f"{package['name']} {package['version']}: {', '.join(names)}"
            said.append(f"audit: {what}, " + (f"ignored: {reason}" if reason else f"fix: {fixed}"))
    skipped = len(packages) - len(asked)
    said.append(f"audit: {len(asked)} packages asked about, {skipped} unknown to the service")
    return said, stops


def report(site: str) -> dict | None:
    """Return pip-audit's report; None where it or its service cannot be reached."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        quiet = {"capture_output": True, "text": True, "timeout": SECONDS}
        try:
            subprocess.run([python, "-m", "pip", "install", "-q", TOOL], check=True, **quiet)
            options = ["--path", site, "--format", "json", "--progress-spinner", "off"]
            done = subprocess.run([python, "-m", "pip_audit", *options], **quiet)
            return json.loads(done.stdout)
        except (subprocess.SubprocessError, ValueError):
            return None


def main() -> int:
    [site] = HERE.parent.glob(".venv/lib/python3*/site-packages")
    found = report(str(site))
    if found is None:
        print("audit: NOT DONE, pip-audit or its advisory service cannot be reached from here")
        return 0
    said, stops = judged(found, ignored(IGNORED.read_text()))
    print("\n".join(said))
    return 1 if stops else 0


if __name__ == "__main__":
    sys.exit(main())
