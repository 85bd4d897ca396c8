"""What it costs to prove and to observe a fleet: one worker, two real registrars, all of it."""

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

HANDSETS, EVERY_S, LOOK_S, SECONDS = 5_000, 1_800, 60, 120
HOSTS = ("127.0.0.2", "127.0.0.3")

WORK = """
import sys, time
import django
django.setup()
from datetime import timedelta
from django.utils import timezone
from registrations import store
from registrations.models import Registration, StandbyProof
from registrations.runtime import memory
from registrations.runtime.engine import Name
from registrations.runtime.loop import LoopThread
from tests.support.claims import make_due, make_group, make_lines
seconds, each, every = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
supervision = sys.argv[4]
group = make_group(addresses=tuple(sys.argv[5:]))
lines = make_lines(each, group, domain="rollcall.test", supervision=supervision)
make_due(lines, time.time() + 86_400)
if supervision == "observe":
    Registration.objects.update(due_at=None, state="disabled")
store.ensure_proofs([line.pk for line in lines], time.time())
site = lines[0].handset.site_id
rows = list(StandbyProof.objects.order_by("?"))
for place, row in enumerate(rows):
    row.due_at = timezone.now() + timedelta(seconds=5 + place * every / len(rows))
StandbyProof.objects.bulk_update(rows, ["due_at"], batch_size=500)
asked = [0]
save_proofs = store.save_proofs
def counting(proved):
    asked[0] += len(proved)
    return save_proofs(proved)
store.save_proofs = counting
worker = LoopThread(lambda site: None, Name("bench", ""))
worker.start()
memory.settle()
time.sleep(5)
began = time.monotonic()
# The first questions of all take two REGISTERs each, and so longer than a round of looks.
while supervision == "observe" and (
    time.monotonic() < began + every or StandbyProof.objects.filter(asked_at=None).exists()
):
    worker.kick(site)
    time.sleep(1)
asked[0], began, spent = 0, time.monotonic(), time.process_time()
while time.monotonic() < began + seconds:
    worker.kick(site)
    time.sleep(1)
spent = time.process_time() - spent
worker.stop()
print(asked[0], spent)
"""


def measure() -> Iterator[Figure]:
    """Yields the share of a core at the pace of a round, and the CPU each question costs."""
    rounds = (("proving", "register", EVERY_S, 1.0), ("observing", "observe", LOOK_S, 5.0))
    for name, supervision, every_s, at_most in rounds:
        asked, spent = _worked(supervision, every_s)
        wanted = 2 * HANDSETS * SECONDS / every_s
        yield Figure(f"{name}: asked, of those that were due", asked / wanted, "", at_least=0.9)
        yield Figure(f"{name}: a question and its answer", spent / asked * 1e6, "us CPU")
        told = f"{name} {HANDSETS:,} handsets at 2 servers each {every_s} s"
        yield Figure(told, 100 * spent / SECONDS, "% core", at_most=at_most)


def _worked(supervision: str, every_s: int) -> tuple[int, float]:
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as home:
        here = Path(home)
        with (
            running(HOSTS[0], free_port(HOSTS[0]), here) as first,
            running(HOSTS[1], free_port(HOSTS[1]), here) as second,
        ):
            places = [f"{each.address}:{each.port}" for each in (first, second)]
            return _at_work(here, [str(every_s), supervision, *places])


def _at_work(home: Path, asked: list[str]) -> tuple[int, float]:
    env = {
        **os.environ,
        "DATA_DIR": str(home / "data"),
        "PROVE_EVERY": str(EVERY_S),
        "DJANGO_SETTINGS_MODULE": "fleet.config.settings",
    }
    migrate = [sys.executable, "manage.py", "migrate", "-v", "0"]
    subprocess.run(migrate, check=True, env=env, cwd=ROOT)  # noqa: S603 - our own code
    work = [sys.executable, "-c", WORK, str(SECONDS), str(HANDSETS), *asked]
    done = subprocess.run(  # noqa: S603 - our own code
        work, check=True, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    answered, spent = done.stdout.split()
    return int(answered), float(spent)
