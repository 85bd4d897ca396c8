"""A real installation for benchmarks of what users meet: all processes, PostgreSQL, Redis."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

from tests.support import stores
from tests.support.product import ADMIN, PASSWORD, ROOT, Product, running

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
NOT_OURS = frozenset({"kamailio", "sipp"})


@contextmanager
def installation(handsets: int) -> Iterator[Product]:
    """A running product with a fleet at rest; gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="rollcall-bench-") as home,
        stores.postgres() as cluster,
        stores.redis() as redis,
        running(Path(home) / "it", redis_url=redis.url, database_url=cluster.create()) as product,
    ):
        run_there(product, f"from benchmarks.seed import seed; seed({handsets})")
        run_there(product, "from django.db import connection as c; c.cursor().execute('ANALYZE')")
        yield product


@contextmanager
def bare_installation() -> Iterator[Product]:
    """A running product without a fleet, on a PostgreSQL that keeps what it commits."""
    with (
        tempfile.TemporaryDirectory(prefix="rollcall-bench-") as home,
        stores.postgres(**DURABLE) as cluster,
        stores.redis() as redis,
        running(Path(home) / "it", redis_url=redis.url, database_url=cluster.create()) as product,
    ):
        yield product


def ordered(product: Product, order: str, *given: object) -> Any:
    """Carry out an order of `benchmarks.ward` there; what it found."""
    words = [order, *map(json.dumps, given)]
    (found,) = told(product.env, "benchmarks.ward", *words)
    return found


def cpu_of(pid: int) -> float:
    """Seconds of CPU a process and those of its children that ended have used."""
    return sum(map(int, _fields(pid)[11:15])) / os.sysconf("SC_CLK_TCK")


def cpu_by_part(product: Product) -> dict[str, float]:
    """Seconds of CPU each of our processes, PostgreSQL and Redis have used."""
    parts = {part: cpu_of(pid) for part, pid in _processes(product).items()}
    rest = {"PostgreSQL": "postgres", "Redis": "redis-server"}
    return parts | {part: _cpu_of_all(_of_name(comm)) for part, comm in rest.items()}


def resident_mb(product: Product) -> dict[str, float]:
    """Memory of each of our processes."""
    return {part: _resident_kb(pid) / 1024 for part, pid in _processes(product).items()}


def _processes(product: Product) -> dict[str, int]:
    if product.web is None:
        raise RuntimeError("the product has no web process")
    return {"worker": product.workers[0].pid, "web": product.web.pid, "beat": product.beat.pid}


def _resident_kb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return float(status.partition("VmRSS:")[2].split()[0])


def all_cpu(product: Product) -> float:
    """Seconds of CPU the product, its PostgreSQL and its Redis have used."""
    return _cpu_of_all(_family(lambda comm: comm not in NOT_OURS))


def _cpu_of_all(pids: set[int]) -> float:
    spent = 0.0
    for pid in pids:
        # One that has ended meanwhile is in its parent's account.
        with suppress(FileNotFoundError, ProcessLookupError):
            spent += cpu_of(pid)
    return spent


def _of_name(comm: str) -> set[int]:
    return _family(lambda own: own == comm)


def _family(counts: Callable[[str], bool]) -> set[int]:
    """Children of this process whose program's name counts, and their own children."""
    pids = {int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()}
    parents = {pid: int(_fields(pid)[1]) for pid in pids if Path(f"/proc/{pid}/stat").exists()}
    ours = {pid for pid, parent in parents.items() if parent == os.getpid()}
    names = {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in ours}
    counted = {pid for pid in ours if counts(names[pid])}
    return counted | {pid for pid, parent in parents.items() if parent in counted}


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def run_there(product: Product, code: str) -> None:
    """Run Python in that installation's Django, to its end."""
    setup = "import django; django.setup(); "
    subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", setup + code], check=True, env=product.env, cwd=ROOT
    )


def told(env: Mapping[str, str], module: str, *given: str) -> Iterator[Any]:
    """Run a module of ours in a process of its own; yields what it writes, line by line as JSON."""
    command = [sys.executable, "-m", module, *given]
    with subprocess.Popen(  # noqa: S603 - our own code
        command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            for line in child.stdout or ():
                yield json.loads(line)
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)


def logged_in(product: Product) -> OpenerDirector:
    """A client with the session of the admin."""
    jar = CookieJar()
    client = build_opener(HTTPCookieProcessor(jar))
    login = f"{product.url}/accounts/login/"
    client.open(login).read()
    token = next(cookie.value for cookie in jar if cookie.name == "csrftoken")
    form = {"username": ADMIN, "password": PASSWORD, "csrfmiddlewaretoken": token}
    client.open(login, urlencode(form).encode()).read()
    return client
