"""The supervisor with real children: they are started, killed, frozen and stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Child, processes_with, wait_for_exit
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import asyncio, sys
from pathlib import Path
from fleet.supervisor import Output, Spec, Supervisor

home = Path(sys.argv[1])
WORKS = "import signal,sys,time; {1}; print('hello from', {0!r}, flush=True); time.sleep(600)"
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
LEAVES = "signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0)))"

def spec(name, does, grace=60.0):
    return Spec(name, [sys.executable, "-c", WORKS.format(name, does)], {"NAME": name}, grace)

async def main():
    async with Supervisor(home / "run", Output(home / "logs")) as supervisor:
        await supervisor.start(spec("first", LEAVES))
        await supervisor.start(spec("second", LEAVES))
        if "stubborn" in sys.argv:
            await supervisor.start(spec("stubborn", STUBBORN, 0.3))
        await asyncio.Event().wait()

try:
    asyncio.run(main())
except asyncio.CancelledError:
    pass
"""


class Run:
    """One supervisor with two well-behaved children."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.children: list[Child] = []

    def start(self, *arguments: str) -> Child:
        log = self.home / f"supervisor-{len(self.children)}.log"
        child = Child(
            "supervisor",
            [sys.executable, "-c", PROGRAM, str(self.home), *arguments],
            log,
            env={"PATH": os.environ["PATH"], "SUPERVISED": str(self.home)},
            cwd=ROOT,
        )
        self.children.append(child)
        return child

    def pid(self, name: str) -> int:
        path = self.home / "run" / f"{name}.pid"
        return int(path.read_text()) if path.exists() else 0

    def says_hello(self, name: str, times: int = 1) -> bool:
        log = self.home / "logs" / f"{name}.log"
        return log.exists() and log.read_text().count(f"hello from {name}") >= times

    def processes(self) -> dict[int, str]:
        return processes_with("SUPERVISED", str(self.home))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    try:
        yield made
    finally:
        for child in made.children:
            child.kill()


def started(run: Run, *arguments: str) -> Child:
    child = run.start(*arguments)
    for name in ("first", "second", *arguments):
        wait_until(lambda name=name: run.says_hello(name), 30, f"{name} runs", seen=child.tail)
    return child


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_in_reverse_order_and_leaves_nothing(run: Run, number: int) -> None:
    child = started(run)
    child.interrupt(number)
    wait_for_exit(child, 30)
    assert run.processes() == {}
    said = child.log.read_text()
    assert said.index("second   | bye") < said.index("first    | bye")
    assert list((run.home / "run").glob("*.pid")) == []


def test_a_killed_child_is_started_again(run: Run) -> None:
    child = started(run)
    before = run.pid("first")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: run.says_hello("first", 2), 30, "it runs again", seen=child.tail)
    assert run.pid("first") not in (0, before)
    assert "first was killed by signal 9; starting it again in 0.5 s" in child.log.read_text()


def test_deaths_in_a_row_make_the_pause_longer(run: Run) -> None:
    child = started(run)
    for times in (2, 3):
        os.kill(run.pid("second"), signal.SIGKILL)
        wait_until(
            lambda times=times: run.says_hello("second", times), 30, "again", seen=child.tail
        )
    assert "starting it again in 1 s" in child.log.read_text()


def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(run: Run) -> None:
    child = started(run, "stubborn")
    begun = time.monotonic()
    child.interrupt(signal.SIGTERM)
    wait_for_exit(child, 30)
    assert time.monotonic() - begun >= 0.3
    assert "stubborn does not stop; killing it" in child.log.read_text()
    assert run.processes() == {}


def test_a_frozen_child_does_not_hold_up_the_end(run: Run) -> None:
    child = started(run, "stubborn")
    os.kill(run.pid("stubborn"), signal.SIGSTOP)
    child.interrupt(signal.SIGTERM)
    wait_for_exit(child, 30)
    assert run.processes() == {}


def test_a_second_signal_kills_at_once(run: Run) -> None:
    child = started(run)
    os.kill(run.pid("second"), signal.SIGSTOP)
    child.interrupt(signal.SIGINT)
    wait_until(lambda: "stopping" in child.log.read_text(), 30, "it begins to stop")
    child.interrupt(signal.SIGINT)
    wait_for_exit(child, 30)
    assert run.processes() == {}


def test_children_die_with_a_killed_supervisor(run: Run) -> None:
    child = started(run)
    child.interrupt(signal.SIGKILL)
    wait_for_exit(child, 30)
    wait_until(lambda: not run.processes(), 30, "its children died with it", seen=run.processes)
    assert run.pid("first"), "the pid file of a killed run is left behind"
    again = run.start()
    wait_until(lambda: run.says_hello("first", 2), 30, "it runs again", seen=again.tail)
    assert run.pid("first") in run.processes()
    again.interrupt(signal.SIGTERM)
    wait_for_exit(again, 30)


def test_a_second_supervisor_of_the_same_folder_is_refused(run: Run) -> None:
    started(run)
    second = run.start()
    assert wait_for_exit(second, 30) != 0
    assert "AlreadyRunning" in second.log.read_text()
    assert run.pid("first") in run.processes(), "the first goes on"


def test_a_closed_console_does_not_end_it(run: Run) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(run.home)],
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "SUPERVISED": str(run.home)},
        cwd=ROOT,
    )
    try:
        assert program.stdout
        program.stdout.close()
        wait_until(lambda: run.says_hello("second"), 30, "its children run")
        os.kill(run.pid("first"), signal.SIGKILL)
        wait_until(lambda: run.says_hello("first", 2), 30, "first runs again")
        program.send_signal(signal.SIGTERM)
        program.wait(30)
    finally:
        program.kill()
        program.wait()
    assert run.processes() == {}
