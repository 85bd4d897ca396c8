"""Runs Rollcall's processes: starts them in order, restarts what dies, stops in reverse order.

Knows nothing of what they do. Children die with the supervisor even when it is killed outright
(PR_SET_PDEATHSIG), so that no process of a killed run is left to meet the next one.
"""

import asyncio
import ctypes
import fcntl
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Self

FIRST_PAUSE = 0.5
"""Seconds before a dead child's first restart; doubles with each death in a row."""
LONGEST_PAUSE = 15.0
SETTLED = 30.0
"""A child that lived this long (seconds) starts again from the first pause."""
LOG_BYTES = 10_000_000
LONGEST_LINE = 100_000

_PR_SET_PDEATHSIG = 1
_TIMESTAMP = re.compile(r"^timestamp=\S+ ")
"""Left to the log files: on the console it would push the text off the screen."""
_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93)


class AlreadyRunning(Exception):
    """Another supervisor holds this run directory."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One child: what to run and how long it may take to stop."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the supervisor's own environment."""
    grace: float = 5.0
    """Seconds between SIGTERM and SIGKILL."""
    quiet: bool = False
    """Its lines go to its log only."""


@dataclass(slots=True)
class _Child:
    spec: Spec
    process: asyncio.subprocess.Process
    started_at: float
    deaths: int = 0
    """In a row, none of them SETTLED."""
    keeper: "asyncio.Task[None]" = field(init=False)


class Output:
    """The children's lines: prefixed on the console, plain in `logs/NAME.log`."""

    def __init__(self, logs: Path, console: IO[str] | None = None) -> None:
        self._logs = logs
        self._console = console or sys.stdout
        self._files: dict[str, RotatingFileHandler] = {}
        self._coloured = self._console.isatty() and "NO_COLOR" not in os.environ
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)

    def line(self, name: str, text: str, *, quiet: bool = False) -> None:
        """Keep a line and show it unless quiet. A full disk or a closed terminal ends nothing."""
        handler = self._files.get(name)
        if handler is None:
            path = self._logs / f"{name}.log"
            handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=2)
            self._files[name] = handler
        handler.emit(logging.LogRecord(name, logging.INFO, "", 0, text, None, None))
        if not quiet:
            self.say(_TIMESTAMP.sub("", text), name)

    def say(self, text: str, name: str = "rollcall") -> None:
        """Show a line on the console only."""
        prefix = f"{name:<9}|"
        if self._coloured:
            colour = 1 if name == "rollcall" else _COLOURS[sum(name.encode()) % len(_COLOURS)]
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        with suppress(OSError, ValueError):
            self._console.write(f"{prefix} {text}\n")
            self._console.flush()

    def close(self) -> None:
        for handler in self._files.values():
            handler.close()


class Supervisor:
    """`async with Supervisor(...)`: on leaving, whatever was started is stopped, last one first.

    SIGTERM, SIGINT and SIGHUP cancel the task that entered it; a second one kills the children.
    """

    def __init__(self, run_dir: Path, output: Output) -> None:
        self._run_dir = run_dir
        self._output = output
        self._children: list[_Child] = []
        self._lock: IO[str] | None = None
        self._stopping = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._lock = lock(self._run_dir)
        for stale in self._run_dir.glob("*.pid"):
            stale.unlink(missing_ok=True)
        self._owner = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._asked_to_stop)
        self._pid_file("up").write_text(f"{os.getpid()}\n")
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._stop_all()
        finally:
            self._pid_file("up").unlink(missing_ok=True)
            if self._lock:
                self._lock.close()
            self._output.close()

    async def start(self, spec: Spec) -> None:
        """Start a child and keep it running from now on. Raises OSError if it cannot be run."""
        child = _Child(spec, await self._spawn(spec), time.monotonic())
        child.keeper = asyncio.create_task(self._keep(child))
        self._children.append(child)

    async def _spawn(self, spec: Spec) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *spec.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **spec.env},
            # A terminal's Ctrl-C reaches us alone, so that the order of stopping is ours.
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
        self._pid_file(spec.name).write_text(f"{process.pid}\n")
        return process

    async def _keep(self, child: _Child) -> None:
        """Pass on a child's output; start it again whenever it ends, until we stop."""
        name = child.spec.name
        while True:
            await self._pass_on(child)
            code = await child.process.wait()
            if self._stopping.is_set():
                return
            lived = time.monotonic() - child.started_at
            child.deaths = 0 if lived >= SETTLED else child.deaths + 1
            pause = min(FIRST_PAUSE * 2 ** max(child.deaths - 1, 0), LONGEST_PAUSE)
            self._output.say(f"{name} {_how(code)}; starting it again in {pause:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            if self._stopping.is_set():
                return
            child.started_at = time.monotonic()
            try:
                child.process = await self._spawn(child.spec)
            except OSError as error:
                self._output.say(f"{name} cannot be started: {error}")
            # Asked to stop while it was being made, when it could not yet be told.
            if self._stopping.is_set():
                _signal(child.process, signal.SIGTERM)

    async def _pass_on(self, child: _Child) -> None:
        reader = child.process.stdout
        name, quiet = child.spec.name, child.spec.quiet
        rest = b""
        while reader is not None and (data := await reader.read(65536)):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                text = line.decode("utf-8", "replace").rstrip("\r")
                self._output.line(name, text, quiet=quiet)
            rest = rest[:LONGEST_LINE]
        if rest:
            self._output.line(name, rest.decode("utf-8", "replace"), quiet=quiet)

    def _asked_to_stop(self) -> None:
        if self._stopping.is_set():
            for child in self._children:
                _signal(child.process, signal.SIGKILL)
            return
        self._stopping.set()
        self._output.say("stopping")
        if self._owner:
            self._owner.cancel()

    async def _stop_all(self) -> None:
        self._stopping.set()
        for child in reversed(self._children):
            await self._stop(child)

    async def _stop(self, child: _Child) -> None:
        _signal(child.process, signal.SIGTERM)
        done, _ = await asyncio.wait({child.keeper}, timeout=child.spec.grace)
        if not done:
            self._output.say(f"{child.spec.name} does not stop; killing it")
            # With whatever it started: that holds its output open, and shares its session.
            with suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
        await child.keeper
        self._pid_file(child.spec.name).unlink(missing_ok=True)

    def _pid_file(self, name: str) -> Path:
        return self._run_dir / f"{name}.pid"


def lock(run_dir: Path) -> IO[str]:
    """Hold the run directory until the file is closed. Raises AlreadyRunning, OSError."""
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = (run_dir / "up.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise AlreadyRunning(str(run_dir)) from None
    return file


def die_with_parent() -> Callable[[], None] | None:
    """What a child does between fork and exec so that the kernel kills it when we die (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    libc, parent = ctypes.CDLL(None, use_errno=True), os.getpid()

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # We may have died before the line above.
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)


def _how(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
