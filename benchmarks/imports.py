"""10,000 handsets imported from a table and from configuration files, on each database."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping

from benchmarks.figure import Figure
from tests.support import stores
from tests.support.product import ROOT

KEYS = {
    "DJANGO_SETTINGS_MODULE": "fleet.config.settings",
    "SECRET_KEY": "only for the benchmark",
    "CREDENTIALS_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "REDIS_URL": "memory://",
    "LOG_LEVEL": "WARNING",
}


def measure() -> Iterator[Figure]:
    """Yield the figures of `benchmarks.imports_inside`, which runs in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _of({"DATA_DIR": folder})
    with stores.postgres() as cluster:
        yield from _of({"DATABASE_URL": cluster.create()})


def _of(database: Mapping[str, str]) -> Iterator[Figure]:
    inside = [sys.executable, "-m", "benchmarks.imports_inside"]
    env = os.environ | KEYS | database
    told = subprocess.run(  # noqa: S603 - our own
        inside, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    for line in told.stdout.splitlines():
        yield Figure(**json.loads(line))
