"""A million changes of 50,000 handsets on PostgreSQL: filtered, travelled through, exported.

The export is measured against a plain COPY of the same columns in the same process, in turn.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.figure import Figure
from tests.support import stores
from tests.support.product import ROOT

HANDSETS, CHANGES, DAYS = 50_000, 1_000_000, 20


def measure() -> Iterator[Figure]:
    """Yield the figures of `benchmarks.past_inside`, which runs in a process of its own."""
    with stores.postgres() as cluster:
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "fleet.config.settings",
            "DATABASE_URL": cluster.create(),
            "SECRET_KEY": "only for the benchmark",
            "CREDENTIALS_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        }
        manage = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(manage, check=True, env=env, cwd=ROOT)  # noqa: S603 - our own
        yield from _told(env, "fill", str(HANDSETS), str(CHANGES), str(DAYS))
        for part in ("filters", "travel", "reports", "export", "workbook"):
            yield from _told(env, part)


def _told(env: dict[str, str], *command: str) -> Iterator[Figure]:
    inside = [sys.executable, "-m", "benchmarks.past_inside", *command]
    with subprocess.Popen(  # noqa: S603 - our own
        inside, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        for line in child.stdout or ():
            yield Figure(**json.loads(line))
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, inside)
