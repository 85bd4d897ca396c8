"""A job told to whoever watches it at three in the morning: its title, and how it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registrations import jobs, queries
from registrations.models import Job, JobResult
from registrations.waves import CANARY

Result = JobResult.Result
ByWave = Mapping[int | None, Mapping[str, int]]

_ANSWERED = (Result.MOVED, Result.REFUSED, Result.FAILED)


def titles(shown: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return each job's title: what is moved, and where to."""
    words = jobs.words([job["scope"] for job in shown])
    return [_title(job, scope) for job, scope in zip(shown, words, strict=True)]


def _title(job: Mapping[str, Any], scope: str) -> str:
    if job["kind"] == Job.Kind.ROLLBACK:
        return f"Rollback of job {job['rolls_back'] or job['scope']['moved_by']}"
    if job["kind"] == Job.Kind.DRAIN:
        return f"Drain of {scope.partition(' ')[2]}"
    if job["kind"] == Job.Kind.DRILL:
        return f"Drill of {scope[:1].lower()}{scope[1:]}"
    if "moved_by" in job["scope"]:
        return f"Home again after job {job['scope']['moved_by']}"
    return f"{scope} home"


def sentence(job: Mapping[str, Any], by_wave: ByWave, zone: str) -> str:
    """Say what is happening now, or how it ended."""
    if job["finished_at"] is not None:
        return _ending(job)
    asked = {result: 0 for result in Result.values} | dict(by_wave.get(_wave(job), {}))
    answered = sum(asked[result] for result in _ANSWERED)
    under_way = asked[Result.PENDING] if job["wave"] is not None else 0
    later = job["total"] - job["done"] - under_way
    if job["cancelled_at"] or job["aborted_at"]:
        return _stopping(job, under_way)
    if under_way:
        return _under_way(job, answered, under_way, asked, later)
    if job["state"] == "writing":
        return f"{_handsets(job['total'])} written down so far. Nobody is asked before all are."
    if job["paused_at"]:
        return _paused(job, later, zone)
    if not later:
        return "All have answered."
    return f"{_handsets(later)} {_wait(later)} for the next wave."


def _wave(job: Mapping[str, Any]) -> int:
    return CANARY if job["wave"] is None else int(job["wave"])


def _under_way(
    job: Mapping[str, Any], answered: int, under_way: int, asked: Mapping[str, int], later: int
) -> str:
    failed = asked[Result.REFUSED] + asked[Result.FAILED]
    said = f"{answered} of {answered + under_way} have answered"
    if failed:
        said += f", {failed} of them did not move"
    wave = "The canary" if job["wave"] == CANARY else f"Wave {job['wave']} of {job['waves']}"
    then = f" {_handsets(later)} {_wait(later)} for their turn." if later else ""
    if job["paused_at"]:
        then = f" Then it stays paused: {_handsets(later)} {_wait(later)}." if later else ""
    return f"{wave}: {said}.{then}"


def _paused(job: Mapping[str, Any], later: int, zone: str) -> str:
    at = queries.clock(datetime.fromisoformat(job["paused_at"]), zone)
    return (
        f"Paused by {job['paused_by']} at {at}: {_handsets(later)} {_wait(later)} until it goes on."
    )


def _stopping(job: Mapping[str, Any], under_way: int) -> str:
    why = job["abort_reason"] or f"Cancelled by {job['cancelled_by']}."
    return (
        f"{why} {_handsets(under_way)} on the way {'finish' if under_way != 1 else 'finishes'} "
        "first."
    )


def _ending(job: Mapping[str, Any]) -> str:
    moved, failed, left_out = job["moved"], job["failed"], job["left_out"]
    place = "home" if job["kind"] == Job.Kind.FAILBACK else "away"
    told = f"{_handsets(moved)} moved {place}"
    if failed:
        told += f", {failed} did not and stayed where {'it was' if failed == 1 else 'they were'}"
    if left_out:
        told += f", {left_out} left out"
    if job["aborted_at"]:
        return f"Stopped by itself. {job['abort_reason']} {told}."
    if job["cancelled_at"]:
        return f"Cancelled by {job['cancelled_by']}. {told}."
    if not moved and not failed and not left_out:
        return "Done: nobody had to be moved."
    return f"Done: {told}."


def _handsets(n: int) -> str:
    return "1 handset" if n == 1 else f"{n} handsets"


def _wait(n: int) -> str:
    return "waits" if n == 1 else "wait"


@dataclass(frozen=True, slots=True)
class Piece:
    """A wave as the job page's strip draws it."""

    name: str
    state: str
    """done, failed, running, pending or cancelled."""
    total: int
    moved: int
    failed: int
    word: str


def strip(job: Mapping[str, Any], by_wave: ByWave) -> list[Piece]:
    """Return the waves in order, the canary first."""
    turns = {wave: results for wave, results in by_wave.items() if wave is not None}
    return [_piece(job, wave, results) for wave, results in sorted(turns.items())]


def _piece(job: Mapping[str, Any], wave: int, results: Mapping[str, int]) -> Piece:
    moved = results.get(Result.MOVED, 0) + results.get(Result.ALREADY_THERE, 0)
    failed = results.get(Result.REFUSED, 0) + results.get(Result.FAILED, 0)
    total = sum(results.values())
    begun = job["wave"] is not None and wave <= job["wave"]
    if not begun:
        is_off = not results.get(Result.PENDING)
        state, word = ("cancelled", "not asked") if is_off else ("pending", "waits")
    elif results.get(Result.PENDING):
        state, word = "running", f"{total - results[Result.PENDING]} of {total}"
    else:
        state, word = "failed" if failed else _arrived(job), f"{moved} of {total}"
    name = "Canary" if wave == CANARY else f"Wave {wave}"
    return Piece(name, state, total, moved, failed, word)


def _arrived(job: Mapping[str, Any]) -> str:
    return result_state(job["kind"], Result.MOVED)


def result_state(kind: str, result: str) -> str:
    """Return how a result looks: moving away is no way home."""
    is_away = kind != Job.Kind.FAILBACK and result == Result.MOVED
    return "moved_away" if is_away else result
