"""Tries as plain text: what an admin pastes into a ticket."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from registrations.trace.ladder import Transaction, Try

RULE = "-" * 72
NameOf = Callable[[int], str]
"""A server's name by its id."""


def as_text(tries: Iterable[Try], name_of: NameOf) -> str:
    """Return these tries in their order, times in UTC, every message in full."""
    return "\n".join(_try(one, name_of) for one in tries)


def _try(one: Try, name_of: NameOf) -> str:
    lines = [f"{RULE}\nTry of {moment(one.at)}"]
    for transaction in one.transactions:
        lines += _transaction(transaction, name_of, one.at)
    if one.left_out:
        lines.append(f"[{one.left_out} messages more were not kept]\n")
    return "\n".join(lines)


def _transaction(one: Transaction, name_of: NameOf, began: float) -> list[str]:
    place = f"{name_of(one.server_id)} ({one.target}, {one.transport.upper()})"
    lines = [f"\n>>> {_after(one.started_at, began)}  to {place}", one.request, ""]
    if repeats := one.sends[1:]:
        at = ", ".join(f"{at - one.started_at:.1f}" for at in repeats)
        lines.append(f">>> the same, sent again after {at} s\n")
    for answer in one.answers:
        lines += [f"<<< {_after(answer.at, began)}  from {place}", answer.text, ""]
    if one.failure:
        lines.append(f"!!! not delivered: {one.failure}\n")
    when = _after(one.ended_at, began) if one.ended_at is not None else "+?"
    return [*lines, f"=== {when}  {one.end}: {one.sentence}"]


def _after(at: float, began: float) -> str:
    return f"{moment(at)} (+{at - began:.3f} s)"


def moment(at: float) -> str:
    """Return Unix seconds as `2026-11-27 12:00:00.123 UTC`."""
    utc = datetime.fromtimestamp(at, UTC)
    return f"{utc:%Y-%m-%d %H:%M:%S}.{utc.microsecond // 1000:03d} UTC"
