"""What we depend on: its licences, its known faults, and that no secret is in the repository."""

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


licences, audit = script("licences"), script("audit")


def test_every_licence_is_on_the_list() -> None:
    packages = licences.brought(licences.pinned(ROOT / "requirements.txt"))
    assert {"django", "uvloop", "psycopg2-binary", "kombu"} <= packages.keys()
    named = {name: licences.licence_of(package) for name, package in packages.items()}
    assert {name: said for name, said in named.items() if not licences.is_allowed(said)} == {}


@pytest.mark.parametrize(
    ("licence", "may"),
    [
        *(("MIT", True), ("Apache-2.0 OR BSD-3-Clause", True), ("GPL-3.0 OR MIT", True)),
        *(("GPL-3.0-only", False), ("MIT AND GPL-3.0-only", False), ("unknown", False)),
        *(("(MIT AND BSD-3-Clause)", True), ("AGPL-3.0", False), ("", False)),
    ],
)
def test_a_licence_is_allowed_by_one_whole_alternative(licence: str, may: bool) -> None:
    assert licences.is_allowed(licence) is may


def found(*ids: str) -> dict[str, Any]:
    vulns = [{"id": i, "aliases": [f"CVE-{i}"], "fix_versions": ["2.0"]} for i in ids]
    return {"name": "kombu", "version": "1.0", "vulns": vulns}


def test_a_known_fault_stops_the_build_unless_it_is_ignored_with_a_reason() -> None:
    report = {"dependencies": [found("PYSEC-1"), {"name": "x", "skip_reason": "unknown"}]}
    said, stops = audit.judged(report, {})
    assert stops and "fix: 2.0" in said[0] and "1 unknown" in said[-1]
    reasons = audit.ignored("# a comment\n\nCVE-PYSEC-1 we never call it\n")
    said, stops = audit.judged(report, reasons)
    assert not stops and "ignored: we never call it" in said[0]
    said, stops = audit.judged(report, audit.ignored("CVE-PYSEC-1"))
    assert stops, "an id without a reason ignores nothing"


def test_an_audit_that_could_not_be_done_says_so_in_one_line() -> None:
    report = {"dependencies": [{"name": "x", "skip_reason": "unknown"}]}
    [said], stops = audit.judged(report, {})
    assert "NOT DONE" in said and not stops


SECRETS = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/=]{20}",
    "a cloud's key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of a code host": r"\b(?:gh[pousr]_|glpat-|npm_)[A-Za-z0-9]{20,}",
    "a chat's token": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a signed token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "a Fernet key": r"(?<![\w/+-])[A-Za-z0-9_-]{43}=(?![\w=])",
    "a key of Django": r"django-insecure-\S{20,}",
    "a password in an address": r"\b[a-z][a-z0-9+]*://[^\s:/@\"'{}$<]+:[^\s:/@\"'{}$<…]{3,}@[\w.-]+",
    "a variable with a secret": (
        r"(?:SECRET|PASSWORD|TOKEN|API_KEY)\w*\s*[:=]\s*[\"']?"
        r"(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[A-Za-z0-9+/_-]{32,}"
    ),
}
HARMLESS = re.compile(
    r"://\w+:(?:PASSWORD|password|pass|hidden|secret|p%40ss|pw)@|MDEyMzQ1Njc4OTAxMjM0"
)
"""What stands for a password in examples and tests; the last are the digits, counted up."""


def secrets_in(text: str) -> list[str]:
    return [
        f"{what}: {match.group(0)[:30]}"
        for what, pattern in SECRETS.items()
        for match in re.finditer(pattern, text)
        if not HARMLESS.search(match.group(0))
    ]


def test_no_tracked_file_holds_a_secret() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    wrong = {}
    for name in filter(None, listed.decode().split("\0")):
        path = ROOT / name
        if path.is_file() and not name.startswith("static/vendor/"):
            text = path.read_bytes().decode("utf-8", "replace")
            if "\0" not in text and (held := secrets_in(text)):
                wrong[name] = held
    assert wrong == {}


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA0Z3VS5JJ",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 10,
        "CREDENTIALS_KEY=" + "Zm9v" * 10 + "abc=",
        "postgres://rollcall:" + "hunter2hunter2@db/rollcall",
        "SECRET_KEY = '" + "a1b2c3d4" * 5 + "'",
    ],
)
def test_the_scan_finds_what_it_is_for(text: str) -> None:
    assert secrets_in(text)
