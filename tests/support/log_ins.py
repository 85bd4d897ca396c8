"""Two first log-ins of one person at the same moment, each on a connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from django.db import connections

from fleet import users

T = TypeVar("T")


def both_at_once(log_in: Callable[[], T], monkeypatch: pytest.MonkeyPatch) -> list[T]:
    """Return what `log_in` gave each of two threads, in both of which nobody knew the person."""
    meet, met, known = threading.Barrier(2, timeout=60), threading.local(), users._known

    def meeting(issuer: str, subject: str) -> object:
        found = known(issuer, subject)
        if not hasattr(met, "once"):
            met.once = True
            assert found is None
            meet.wait()
        return found

    def alone() -> T:
        try:
            return log_in()
        finally:
            connections.close_all()

    monkeypatch.setattr(users, "_known", meeting)
    with ThreadPoolExecutor(2) as threads:
        return [each.result() for each in [threads.submit(alone) for _ in range(2)]]
