"""A queue before SQLite's write lock, by file locks, so that every writer gets its turn.

SQLite's busy handler polls: whoever writes without a pause keeps all others out (seconds, in
our measurements). Here a writer first takes the turnstile, then waits for the write lock while
it holds the turnstile, then lets go of the turnstile. Who has just written finds the turnstile
taken by the one who waits, so it cannot go twice in a row while somebody waits.
"""

import fcntl
import os
import time
from pathlib import Path

PAUSE = 0.001
"""Seconds between two looks at a lock; flock has no waiting with a deadline."""


class Busy(Exception):
    """The turn did not come before the deadline."""


class WriteQueue:
    """One connection's place in the queue. Each has its own open files: threads queue as well.

    The kernel drops the locks of a process that dies, however it dies.
    """

    def __init__(self, database: Path, timeout: float) -> None:
        self._database = database
        self._timeout = timeout
        self._files: tuple[int, int] | None = None
        self._depth = 0

    def enter(self) -> None:
        """Wait for our turn; counts when we hold it already. Raises Busy after `timeout` s."""
        if self._depth == 0:
            turnstile, write = self._open()
            deadline = time.monotonic() + self._timeout
            self._take(turnstile, deadline)
            try:
                self._take(write, deadline)
            finally:
                fcntl.flock(turnstile, fcntl.LOCK_UN)
        self._depth += 1

    def leave(self) -> None:
        """Undo one `enter`; the outermost lets the next writer in."""
        if self._depth == 0:
            return
        self._depth -= 1
        if self._depth == 0 and self._files is not None:
            fcntl.flock(self._files[1], fcntl.LOCK_UN)

    def close(self) -> None:
        """Give up the turn, if held, and the files."""
        self._depth = 0
        if self._files is not None:
            for file in self._files:
                os.close(file)
            self._files = None

    def _open(self) -> tuple[int, int]:
        if self._files is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            names = (f"{self._database}.turnstile", f"{self._database}.write")
            self._files = (os.open(names[0], flags, 0o600), os.open(names[1], flags, 0o600))
        return self._files

    @staticmethod
    def _take(file: int, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Busy from None
                time.sleep(PAUSE)
