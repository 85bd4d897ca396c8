"""The history as it must be, whatever happened: a chain for each line, nothing lost or doubled."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from tests.support.hospital import Hospital


class Entry(NamedTuple):
    """One row of history."""

    id: int
    registration: int
    at: datetime
    before: tuple[str, str]
    """State and server that were left."""
    after: tuple[str, str]


@dataclass
class Findings:
    """What is wrong with it, one sentence each."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


def examine(hospital: Hospital, shown: Iterable[tuple[int, str, datetime]]) -> Findings:
    """Hold the history against itself, against the rows, and against what a screen has shown.

    `shown` are (registration, state, since) that somebody has seen as a fact: each is an entry.
    """
    found = Findings()
    entries = _entries(hospital)
    chains: dict[int, list[Entry]] = {}
    for entry in entries:
        chains.setdefault(entry.registration, []).append(entry)
    for same, count in Counter(entry[1:] for entry in entries).items():
        if count > 1:
            found.doubled.append(f"{count} times: {same}")
    for chain in chains.values():
        _follow(chain, found)
    for line, stands in _rows(hospital).items():
        if line in chains and chains[line][-1].after != stands:
            found.lost.append(f"line {line} is {stands}, its history ends: {chains[line][-1]}")
    # The socket tells times in milliseconds.
    kept = {(e.registration, e.after[0], _milliseconds(e.at)) for e in entries}
    for line, state, since in shown:
        if (line, state, _milliseconds(since)) not in kept:
            found.lost.append(f"line {line} was shown as {state} since {since}: not in its history")
    return found


def _follow(chain: list[Entry], found: Findings) -> None:
    for one, two in pairwise(chain):
        if one.after != two.before:
            found.lost.append(f"something is missing between {one} and {two}")
        elif two.before == two.after:
            found.doubled.append(f"nothing changed: {two}")
        if two.at < one.at:
            found.lost.append(f"out of order: {one} and {two}")


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _entries(hospital: Hospital) -> list[Entry]:
    """In the order in which they were written: a line's own follow one another."""
    found = hospital.sql(
        "SELECT id, registration_id, at, from_state, from_server, to_state, to_server "
        "FROM registrations_transition WHERE registration_id IS NOT NULL ORDER BY id"
    )
    return [Entry(r[0], r[1], r[2], (r[3], r[4]), (r[5], r[6])) for r in found]


def _rows(hospital: Hospital) -> dict[int, tuple[str, str]]:
    found = hospital.sql(
        "SELECT r.id, r.state, coalesce(s.address || ':' || s.port, '') "
        "FROM registrations_registration r LEFT JOIN fleet_server s ON s.id = r.server_id"
    )
    return {row[0]: (row[1], row[2]) for row in found}
