"""What it costs to prove a fleet: one worker, two real registrars, a database of all of it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure
from tests.support.kamailio import running
from tests.support.processes import free_port
from tests.support.product import ROOT

HANDSETS, EVERY_S, SECONDS = 5_000, 1_800, 120
HOSTS = ("127.0.0.2", "127.0.0.3")

WORK = """
import sys, time
import django
django.setup()
from datetime import timedelta
from django.utils import timezone
from registrations import store
from registrations.models import StandbyProof
from registrations.runtime.engine import Name
from registrations.runtime.loop import LoopThread
from tests.support.claims import make_due, make_group, make_lines
seconds, each = int(sys.argv[1]), int(sys.argv[2])
lines = make_lines(each, make_group(addresses=tuple(sys.argv[3:])), domain="rollcall.test")
make_due(lines, time.time() + 86_400)
store.ensure_proofs([line.pk for line in lines], time.time())
site = lines[0].handset.site_id
rows = list(StandbyProof.objects.order_by("?"))
for place, row in enumerate(rows):
    row.due_at = timezone.now() + timedelta(seconds=5 + place * 1800 / len(rows))
StandbyProof.objects.bulk_update(rows, ["due_at"], batch_size=500)
worker = LoopThread(lambda site: None, Name("bench", ""))
worker.start()
time.sleep(5)
began, spent = time.monotonic(), time.process_time()
while time.monotonic() < began + seconds:
    worker.kick(site)
    time.sleep(1)
spent = time.process_time() - spent
proved = StandbyProof.objects.filter(proof="proved").count()
worker.stop()
print(proved, spent)
"""


def measure() -> Iterator[Figure]:
    """Yields the share of a core at the pace of a round, and the CPU each question costs."""
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as home:
        here = Path(home)
        with (
            running(HOSTS[0], free_port(HOSTS[0]), here) as first,
            running(HOSTS[1], free_port(HOSTS[1]), here) as second,
        ):
            places = [f"{each.address}:{each.port}" for each in (first, second)]
            proved, spent = _worked(here, places)
    wanted = 2 * HANDSETS * SECONDS / EVERY_S
    yield Figure("proved, of those that were due", proved / wanted, "", at_least=0.95)
    yield Figure("a question and its answer", spent / proved * 1e6, "us CPU")
    share = 100 * spent / SECONDS
    name = f"proving {HANDSETS:,} handsets at 2 servers each {EVERY_S // 60} min"
    yield Figure(name, share, "% of a core", at_most=1.0)


def _worked(home: Path, places: list[str]) -> tuple[int, float]:
    env = {
        **os.environ,
        "DATA_DIR": str(home / "data"),
        "PROVE_EVERY": str(EVERY_S),
        "DJANGO_SETTINGS_MODULE": "fleet.config.settings",
    }
    migrate = [sys.executable, "manage.py", "migrate", "-v", "0"]
    subprocess.run(migrate, check=True, env=env, cwd=ROOT)  # noqa: S603 - our own code
    work = [sys.executable, "-c", WORK, str(SECONDS), str(HANDSETS), *places]
    done = subprocess.run(  # noqa: S603 - our own code
        work, check=True, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    proved, spent = done.stdout.split()
    return int(proved), float(spent)
