"""A claim of 500 among 100,000 and the writing of 500 results, beside the bare statements.

On a PostgreSQL of its own that keeps what it commits, as users run it.
"""

import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.installation import DURABLE, told
from benchmarks.sizes import size
from tests.support import stores
from tests.support.product import ROOT

HANDSETS = size("HANDSETS", 100_000)


def measure() -> Iterator[Figure]:
    """Yield the figures of `benchmarks.database_inside`, which runs in a process of its own."""
    yield from inside(HANDSETS, "claims", "writes")


def inside(handsets: int, *parts: str) -> Iterator[Figure]:
    """Yield the figures of these parts, with so many handsets in a database of their own."""
    with stores.postgres(**DURABLE) as cluster:
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "fleet.config.settings",
            "DATABASE_URL": cluster.create(),
            # What is counted goes nowhere: there is no Redis beside it.
            "REDIS_URL": "memory://",
            "SECRET_KEY": "only for the benchmark",
            "CREDENTIALS_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        }
        manage = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(manage, check=True, env=env, cwd=ROOT)  # noqa: S603 - our own
        for part in (("fill", str(handsets)), *((each,) for each in parts)):
            for found in told(env, "benchmarks.database_inside", *part):
                yield Figure(**found)
