"""What one line's agent sent and heard of late, for pages, API and text: from the ring, in words.

Servers get their names here. What is not there is said, and since when; never an empty ladder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fleet.models import Server
from registrations import queries, ring
from registrations.shown.why import beside
from registrations.trace import Transaction, Try, as_try
from registrations.trace.compare import Row, compared
from registrations.trace.ladder import GOOD, End, of
from registrations.trace.text import as_text

Servers = Mapping[int, Server]
GONE = "a server that is gone"

STATES = {
    End.TOOK: "up",
    End.TOLD: "up",
    End.AGAIN: "up",
    End.REFUSED: "refused",
    End.CUT: "unknown",
}
"""Which state's colour and icon an end goes by; any other is `failed`."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first failure at a server beside the last success before it."""

    server_id: int
    failure: Transaction
    success: Transaction | None
    request: list[Row]
    answer: list[Row]


@dataclass(frozen=True, slots=True)
class Ladders:
    """What is kept of one line, newest first."""

    tries: list[Try]
    comparisons: list[Comparison]
    since: datetime | None
    lost: ring.Lost | None


def read(registration_id: int, server_id: int | None = None) -> Ladders:
    """Return the ladders of a line, of one server alone if told. Raises ring.Unavailable."""
    kept = ring.read(registration_id)
    tries = [as_try(record) for record in kept.tries]
    pairs = [pair for pair in kept.pairs if server_id in (None, pair.server_id)]
    if server_id is not None:
        tries = [one for each in tries if (one := each.at_server(server_id)).transactions]
    return Ladders(
        tries=tries,
        comparisons=[found for pair in pairs if (found := _comparison(pair)) is not None],
        since=None if kept.since is None else _at(kept.since),
        lost=kept.lost,
    )


def _comparison(pair: ring.Pair) -> Comparison | None:
    failed = [t for t in of(as_try(pair.failure).transactions, pair.server_id) if t.end not in GOOD]
    if not failed:
        return None
    took = None
    if pair.success is not None:
        there = of(as_try(pair.success).transactions, pair.server_id)
        took = next((t for t in reversed(there) if t.end is End.TOOK), None)
    request, answer = compared(took, failed[-1]) if took else ([], [])
    return Comparison(pair.server_id, failed[-1], took, request, answer)


def text(found: Ladders, servers: Servers, of_whom: str) -> str:
    """Return the whole as plain text, for a file."""
    head = [f"SIP trace of {of_whom}, newest try first. Credentials and nonces are masked."]
    if found.since is not None:
        head.append(f"Tries are kept since {found.since:%Y-%m-%d %H:%M:%S} UTC.")
    head += [sentence for sentence in [lost_sentence(found.lost)] if sentence]
    if not found.tries:
        head.append("No try of this line is kept.")
    return "\n".join([*head, as_text(found.tries, lambda pk: name(pk, servers)), ""])


def unavailable(gone: ring.Unavailable, zone: str = "UTC") -> str:
    """Say that the ladder cannot be shown, and since when."""
    return (
        "The trace is not available: Redis, where it is kept, does not answer (noticed at "
        f"{queries.clock(_at(gone.since), zone)}). "
        "What is tried meanwhile is kept as far as it fits."
    )


def lost_sentence(lost: ring.Lost | None, zone: str = "UTC") -> str:
    """Say what could not be kept of the fleet's tries; '' where nothing was lost."""
    if lost is None:
        return ""
    since, until = (queries.clock(_at(at), zone) for at in (lost.since, lost.until))
    return (
        f"Between {since} and {until}, {lost.tries} tries of the fleet were not kept: {lost.why}."
    )


def name(server_id: int, servers: Servers) -> str:
    """Return a server's name, also where it was taken out of the group since."""
    server = servers.get(server_id)
    return GONE if server is None else str(server)


def verdict(one: Try, servers: Servers) -> str:
    """Say what came of a try: the last word of each server, in the order they were asked."""
    last = {transaction.server_id: transaction for transaction in one.transactions}
    return " ".join(f"{name(pk, servers)}: {words(each, servers)}" for pk, each in last.items())


def words(one: Transaction, servers: Servers) -> str:
    """Say how a transaction ended, as it stands beside its server's name."""
    return beside(one.sentence, one.target, name(one.server_id, servers))


def state(ends: Sequence[End]) -> str:
    """Return the state whose colour and icon these ends go by: the last one's, but for a move."""
    if not ends:
        return "unknown"
    last = STATES.get(ends[-1], "failed")
    return "secondary" if last == "up" and not GOOD.issuperset(ends) else last


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def moment(seconds: float | None) -> str | None:
    """Return Unix seconds as the API writes a time."""
    return None if seconds is None else queries.moment(_at(seconds))


def data(found: Ladders, registration_id: int, servers: Servers) -> dict[str, Any]:
    """Return the whole as the API sends it."""
    return {
        "registration": registration_id,
        "kept_since": queries.moment(found.since),
        "lost": None
        if found.lost is None
        else {
            "since": moment(found.lost.since),
            "until": moment(found.lost.until),
            "tries": found.lost.tries,
            "why": found.lost.why,
        },
        "tries": [_try_data(one, servers) for one in found.tries],
        "comparisons": [_comparison_data(one, servers) for one in found.comparisons],
    }


def _try_data(one: Try, servers: Servers) -> dict[str, Any]:
    return {
        "at": moment(one.at),
        "ended_at": moment(one.ended_at),
        "verdict": verdict(one, servers),
        "note": one.note,
        "left_out": one.left_out,
        "transactions": [_transaction_data(each, servers) for each in one.transactions],
    }


def _transaction_data(one: Transaction, servers: Servers) -> dict[str, Any]:
    return {
        "server": {"id": one.server_id, "name": name(one.server_id, servers)},
        "target": one.target,
        "transport": one.transport,
        "sends": [moment(at) for at in one.sends],
        "request": one.request,
        "answers": [
            {"at": moment(a.at), "code": a.code, "reason": a.reason, "text": a.text}
            for a in one.answers
        ],
        "failure": one.failure,
        "ended_at": moment(one.ended_at),
        "seconds": None if one.seconds is None else round(one.seconds, 3),
        "end": one.end.value,
        "sentence": words(one, servers),
    }


def _comparison_data(one: Comparison, servers: Servers) -> dict[str, Any]:
    return {
        "server": {"id": one.server_id, "name": name(one.server_id, servers)},
        "success": None if one.success is None else _transaction_data(one.success, servers),
        "failure": _transaction_data(one.failure, servers),
        "differences": [
            {"part": part, "name": row.name, "success": row.one, "failure": row.other}
            for part, rows in (("request", one.request), ("answer", one.answer))
            for row in rows
            if row.kind == "differs"
        ],
    }
