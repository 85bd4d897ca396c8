"""A million changes of 50,000 handsets on PostgreSQL: filtered, travelled through, exported.

The export is measured against a plain COPY of the same SELECT in the same process, in turn.
"""

import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.installation import told
from benchmarks.sizes import size
from tests.support import stores
from tests.support.product import ROOT

HANDSETS, CHANGES, DAYS = 50_000, size("ROWS", 1_000_000), 20


def measure() -> Iterator[Figure]:
    """Yield the figures of `benchmarks.past_inside`, which runs in a process of its own."""
    fill = ("fill", HANDSETS, CHANGES, DAYS)
    yield from inside(fill, ("filters",), ("travel",), ("reports",), ("export",), ("workbook",))


def inside(*parts: tuple[object, ...]) -> Iterator[Figure]:
    """Yield the figures of these parts, on a PostgreSQL of their own; the first one fills it."""
    with stores.postgres() as cluster:
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "fleet.config.settings",
            "DATABASE_URL": cluster.create(),
            "SECRET_KEY": "only for the benchmark",
            "CREDENTIALS_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        }
        manage = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(manage, check=True, env=env, cwd=ROOT)  # noqa: S603 - our own
        for part in parts:
            for found in told(env, "benchmarks.past_inside", *map(str, part)):
                yield Figure(**found)
