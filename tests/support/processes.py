"""Child processes of the tests: each in a group of its own, logged to a file, always ended."""

import ctypes
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from tests.support.waiting import wait_until

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def _die_with_parent(by: int) -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, by, 0, 0, 0)


def free_port(*addresses: str) -> int:
    """A port that nobody holds on any of `addresses` (127.0.0.1), for TCP or for UDP.

    Drawn below the range from which the system gives ports to clients, and at random, so that two
    runs on one machine stay apart.
    """
    for _ in range(200):
        port = random.randrange(20_000, 32_000)
        if all(_is_free(address, port) for address in addresses or ("127.0.0.1",)):
            return port
    raise RuntimeError(f"no free port on {addresses}")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        try:
            stream.bind((address, port))
            datagram.bind((address, port))
        except OSError:
            return False
    return True


class Child:
    """One running program and the processes it made (they share its process group).

    It ends with us, however we end: the kernel sends it `dies_by`. Its own children get nothing
    then, so a program that has some must be asked, and end them.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        dies_by: int = signal.SIGKILL,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                user=user,
                group=user,
                start_new_session=True,
                preexec_fn=partial(_die_with_parent, dies_by),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def signal_group(self, number: int) -> None:
        """Send a signal to the program and everything it started."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            if self.exit_code is None:
                raise

    def interrupt(self, number: int) -> None:
        """Send a signal to the program alone, as Ctrl-C's receiver or an init system would."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to the whole group; returns when it is gone."""
        self.signal_group(signal.SIGKILL)
        self._process.wait(30)
        wait_until(self._group_is_gone, 30, f"{self.name}'s processes end after SIGKILL")

    def stop(self, within: float = 10.0) -> None:
        """SIGTERM, and SIGKILL to whoever is left after `within` seconds."""
        if self.exit_code is None:
            self.signal_group(signal.SIGCONT)
            self.interrupt(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(within)
        self.kill()

    def wait(self, within: float) -> int:
        """The exit code; subprocess.TimeoutExpired when it does not come."""
        return self._process.wait(within)

    def tail(self, lines: int = 25) -> str:
        """The end of its log, for a failure message."""
        if not self.log.exists():
            return f"--- {self.name}: no log"
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"--- {self.name} (exit code {self.exit_code}), {self.log}:", *text])

    def _group_is_gone(self) -> bool:
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            state, group = fields[0], int(fields[2])
            if group == self.pid and state != "Z":
                return False
        return True


def wait_for_exit(child: Child, within: float) -> int:
    """Like `Child.wait`, with the log's tail in the failure message."""
    end = time.monotonic() + within
    while child.exit_code is None:
        if time.monotonic() > end:
            raise AssertionError(f"{child.name} does not end within {within:g} s\n{child.tail()}")
        time.sleep(0.05)
    return child.exit_code


def processes_with(variable: str, value: str) -> dict[int, str]:
    """Every living process that was started with this in its environment: pid -> command line."""
    wanted = f"{variable}={value}".encode()
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found
