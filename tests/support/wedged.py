"""A worker with a fault built in: `celery -A tests.support.wedged worker`, for tests of the watch.

Agents lose every answer and every timer: those of the extensions in HANG_ONCE in their first claim,
those in HANG_TWICE in their first two. The latter the worker does not even see: it goes on
extending their leases.
"""

import os

import django

from fleet.config.celery import app

django.setup()

from registrations.runtime.runner import Run, Runner  # noqa: E402

__all__ = ["app"]

TIMES = {
    **dict.fromkeys(os.environ["HANG_ONCE"].split(","), 1),
    **dict.fromkeys(os.environ["HANG_TWICE"].split(","), 2),
}
_claims: dict[str, list[str]] = {}
_receive, _ring, _end_stuck = Run.receive, Run.ring, Runner.end_stuck


def _is_hung(run: Run) -> bool:
    user = run.claimed.account.user
    if user not in TIMES:
        return False
    tokens = _claims.setdefault(user, [])
    if run.claimed.token not in tokens:
        tokens.append(run.claimed.token)
    return tokens.index(run.claimed.token) < TIMES[user]


def _lose_answers(run: Run, data: bytes, source: tuple[str, int]) -> None:
    if not _is_hung(run):
        _receive(run, data, source)


def _lose_timers(run: Run) -> None:
    if not _is_hung(run):
        _ring(run)


def _overlook(runner: Runner, every_s: float, lease_s: float) -> None:
    for run in runner._runs.values():
        if TIMES.get(run.claimed.account.user) == 2:
            run.pulse.turns += 1
    _end_stuck(runner, every_s, lease_s)


Run.receive = _lose_answers  # type: ignore[method-assign]
Run.ring = _lose_timers  # type: ignore[method-assign]
Runner.end_stuck = _overlook  # type: ignore[method-assign]
