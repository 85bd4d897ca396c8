"""Handsets imported from a table and from configuration files, on each database."""

import os
import tempfile
from collections.abc import Iterator, Mapping

from benchmarks.figure import Figure
from benchmarks.installation import told
from benchmarks.sizes import size
from tests.support import stores

HANDSETS = size("HANDSETS", 10_000)
KEYS = {
    "DJANGO_SETTINGS_MODULE": "fleet.config.settings",
    "SECRET_KEY": "only for the benchmark",
    "CREDENTIALS_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "REDIS_URL": "memory://",
    "LOG_LEVEL": "WARNING",
}


def measure() -> Iterator[Figure]:
    """Yield the time of each kind of import, and the importer's CPU."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _of(HANDSETS, {"DATA_DIR": folder})
    yield from of(HANDSETS)


def of(handsets: int) -> Iterator[Figure]:
    """Yield the same for so many on PostgreSQL."""
    with stores.postgres() as cluster:
        yield from _of(handsets, {"DATABASE_URL": cluster.create()})


def _of(handsets: int, database: Mapping[str, str]) -> Iterator[Figure]:
    """Run `benchmarks.imports_inside` in a process of its own."""
    for found in told(os.environ | KEYS | database, "benchmarks.imports_inside", str(handsets)):
        yield Figure(**found)
