"""1,000 browsers' sockets on one web process, and a storm of changes before 100 of them.

Beside a bare fan-out of as much by the same server in the same run. The listeners are a process of
their own; what is counted is the CPU of the web process alone.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from benchmarks.installation import cpu_of, installation
from benchmarks.sizes import size
from tests.support.processes import Child, free_port
from tests.support.product import ROOT, Product
from tests.support.waiting import wait_until

SOCKETS, BYTES, PER_SECOND, SECONDS = size("SOCKETS", 1_000), 20_000, 10, 10
BROWSERS, CHANGES, IN_ONE, SHOWN = 100, size("CHANGES", 10_000), 500, 50
STORM_PER_SECOND = 2_000
COALESCING_MS = 100.0
P99_MS, STORM_P99_MS = 250.0, 1_000.0
GOAL_US, GOAL_P99_MS, GOAL_STORM_P99_MS = 25.0, 50 + COALESCING_MS, 300 + COALESCING_MS
SETTLE_S = 3.0

CHANGE = r"""
import json, sys, time
import django
django.setup()
from registrations import live
from registrations.models import Registration
sys.stdout.write("ready\n")
sys.stdout.flush()
batches, every = json.loads(sys.stdin.readline())
due = time.monotonic()
for ids in batches:
    reason = f"stamp={time.time():.6f}".ljust(60)
    Registration.objects.filter(pk__in=ids).update(reason=reason)
    live.publish({"id": pk} for pk in ids)
    due += every
    time.sleep(max(0.0, due - time.monotonic()))
time.sleep(1)
"""
SHOW = """
import json, sys
from django.utils import timezone
from registrations import queries
from registrations.models import Registration
Registration.objects.update(reason="stamp=1.000000".ljust(60))
ids = list(Registration.objects.order_by("pk").values_list("pk", flat=True))
row = json.dumps(queries.rows(ids[:1], timezone.now())[0], separators=(",", ":"))
sys.stdout.write(json.dumps([ids, len(row)]))
"""


def measure() -> Iterator[Figure]:
    """Yield what a delivery costs and how long it takes, with 1,000 sockets and in a storm."""
    with _floor() as (port, pid):
        told, spent = _heard(port, "/", "", [[]] * SOCKETS, pid)
        floor = spent / max(1, told["messages"]) * 1e6
        yield Figure(f"bare fan-out to {SOCKETS:,} sockets, {BYTES // 1000} kB", floor, "us CPU")
        yield Figure("bare fan-out, p99", told["p99"] * 1000, "ms")
        yield _hearing("bare fan-out", told)
    with installation(CHANGES) as product:
        ids, length = shown(product)
        yield from _pushed(product, ids[: max(1, BYTES // length)], floor)
        yield from _stormed(product, ids)


def _pushed(product: Product, rows: list[int], floor: float) -> Iterator[Figure]:
    told, spent = pushed(product, rows, SOCKETS)
    each = spent / max(1, told["messages"]) * 1e6
    name = f"push to {SOCKETS:,} sockets"
    yield Figure(f"{name}: messages a second to each", told["messages"] / SOCKETS / SECONDS, "/s")
    yield Figure(f"{name}: bytes of a message", told["bytes"] / max(1, told["messages"]), "B")
    yield Figure(f"{name}: lost", told["lost"], "", at_most=0)
    yield Figure(f"{name}: CPU of a delivery", each, "us CPU", goal=GOAL_US)
    yield Figure(f"{name}: the same / bare fan-out", each / floor, "x")
    yield Figure(f"{name}: p50 from the change", told["p50"] * 1000, "ms")
    p99 = told["p99"] * 1000
    yield Figure(f"{name}: p99 from the change", p99, "ms", at_most=P99_MS, goal=GOAL_P99_MS)
    yield _hearing(name, told)


def pushed(product: Product, rows: list[int], sockets: int) -> tuple[dict[str, Any], float]:
    """Let these rows change ten times a second before so many sockets: as `_heard`."""
    batches = [rows] * (PER_SECOND * SECONDS)
    watches = [rows] * sockets
    return _heard(
        product.port, "/ws/live/", product.token, watches, _web(product), product, batches
    )


def _stormed(product: Product, ids: list[int]) -> Iterator[Figure]:
    told, _ = stormed(product, ids)
    name = f"{len(ids):,} changes before {BROWSERS} browsers"
    yield Figure(f"{name}: lost", told["lost"], "", at_most=0)
    yield Figure(f"{name}: p50 from the change", told["p50"] * 1000, "ms")
    bounds = {"at_most": STORM_P99_MS, "goal": GOAL_STORM_P99_MS}
    yield Figure(f"{name}: p99 from the change", told["p99"] * 1000, "ms", **bounds)
    yield _hearing(name, told)


def stormed(product: Product, ids: list[int]) -> tuple[dict[str, Any], float]:
    """Let everybody change, while each browser shows a page of its own: as `_heard`."""
    pages = [
        [ids[(n * SHOWN + place) % len(ids)] for place in range(SHOWN)] for n in range(BROWSERS)
    ]
    # Of each page some rows are in every batch, as in a storm that knows no order.
    batches = [ids[start :: max(1, len(ids) // IN_ONE)] for start in range(len(ids) // IN_ONE)]
    return _heard(
        *(product.port, "/ws/live/", product.token, pages, _web(product), product, batches),
        every=IN_ONE / STORM_PER_SECOND,
    )


def _hearing(name: str, told: dict[str, Any]) -> Figure:
    """What the listeners themselves take: times are the server's only while it is little."""
    return Figure(f"{name}: the listeners", told["cpu"] / max(1, told["messages"]) * 1e6, "us CPU")


def _heard(
    port: int,
    path: str,
    token: str,
    watches: list[list[int]],
    pid: int,
    product: Product | None = None,
    batches: list[list[int]] | None = None,
    every: float = 1 / PER_SECOND,
) -> tuple[dict[str, Any], float]:
    """Let so many listen while the batches change; what came, and the server's CPU meanwhile."""
    seconds = len(batches) * every + SETTLE_S if batches else float(SECONDS)
    given = {"port": port, "path": path, "token": token, "watches": watches, "seconds": seconds}
    with ExitStack() as stack:
        changes = None
        if product is not None:
            changes = stack.enter_context(_python("-c", CHANGE, env=product.env))
            _wait_for("ready", changes)
        command = ("-m", "benchmarks.listeners")
        listeners = stack.enter_context(_python(*command, env=dict(os.environ)))
        _say(listeners, given)
        _wait_for("open", listeners)
        before = cpu_of(pid)
        if changes is not None:
            _say(changes, [batches, every])
        told = json.loads(listeners.stdout.readline() if listeners.stdout else "")
        spent = cpu_of(pid) - before
    return told, spent


@contextmanager
def _python(*command: str, env: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A Python of ours whose input and output are lines; it has ended in order afterwards."""
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, *command],
        env=env,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise RuntimeError(f"{command[:2]} broke off")


def _wait_for(word: str, child: "subprocess.Popen[str]") -> None:
    while (line := child.stdout.readline() if child.stdout else "").strip() != word:
        if not line:
            raise RuntimeError(f"it never said that it is {word}")


def _say(child: "subprocess.Popen[str]", what: object) -> None:
    if child.stdin is not None:
        child.stdin.write(json.dumps(what) + "\n")
        child.stdin.flush()


def shown(product: Product) -> tuple[list[int], int]:
    """Give all registrations a stamp as their reason; who they are, and the length of a row."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", f"import django; django.setup()\n{SHOW}"],
        check=True,
        env=product.env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    ids, length = json.loads(done.stdout.splitlines()[-1])
    return ids, length


def _web(product: Product) -> int:
    if product.web is None:
        raise RuntimeError("there is no web process")
    return product.web.pid


@contextmanager
def _floor() -> Iterator[tuple[int, int]]:
    """The bare fan-out at a port of its own, and its process."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as home:
        command = [sys.executable, "-m", "uvicorn", "benchmarks.fanout:application", "--port"]
        command += [str(port), "--loop", "uvloop", "--ws-per-message-deflate", "false"]
        env = os.environ | {"BENCH_BYTES": str(BYTES)}
        child = Child("fanout", command, Path(home) / "fanout.log", env=env, cwd=ROOT)
        try:
            wait_until(lambda: "running on" in child.tail(), 60, "the fan-out listens")
            time.sleep(0.2)
            yield port, child.pid
        finally:
            child.kill()
