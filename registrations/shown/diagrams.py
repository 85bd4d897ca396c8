"""A try as the rows of a ladder: who sent what to whom, when, and how long after the last one.

The agent is the first lifeline; its servers follow in the order of their group.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fleet.models import Server
from registrations.shown import ladders
from registrations.templatetags.rollcall import took
from registrations.trace import Transaction, Try
from registrations.trace.compare import Row
from registrations.trace.ladder import GOOD, End
from registrations.trace.text import as_text


@dataclass(frozen=True, slots=True)
class Lifeline:
    """A place that was asked; `column` is 1 for the one next to the agent."""

    column: int
    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the ladder. `span` lifelines lie under its arrow, `rest` beyond it."""

    at: datetime
    kind: str
    """`ask`, `again`, `answer` or `nothing`."""
    label: str
    note: str
    span: int
    rest: range
    is_good: bool
    delta: float | None = None
    """Seconds after the last one; None for the first."""


@dataclass(frozen=True, slots=True)
class Diagram:
    """One try, drawn and told."""

    at: datetime
    state: str
    verdict: str
    seconds: float | None
    lifelines: list[Lifeline]
    steps: list[Step]
    text: str
    left_out: int


@dataclass(frozen=True, slots=True)
class Side:
    """One transaction of a comparison, in words."""

    at: datetime
    words: str
    effort: str


@dataclass(frozen=True, slots=True)
class Versus:
    """The last success at a server beside the first failure after it."""

    name: str
    success: Side | None
    failure: Side
    rows: list[Row]


def versus(found: Sequence[ladders.Comparison], servers: Mapping[int, Server]) -> list[Versus]:
    """Put these comparisons into words."""
    return [
        Versus(
            name=ladders.name(one.server_id, servers),
            success=None if one.success is None else _side(one.success, servers),
            failure=_side(one.failure, servers),
            rows=[*one.request, *one.answer],
        )
        for one in found
    ]


def _side(one: Transaction, servers: Mapping[int, Server]) -> Side:
    times = "once" if len(one.sends) == 1 else f"{len(one.sends)} times"
    answer = one.answers[-1] if one.answers else None
    if answer is not None:
        heard = f"answered after {took(answer.at - one.started_at)}"
    else:
        heard = "no answer" if not one.failure else f"not delivered: {one.failure}"
    return Side(_at(one.started_at), ladders.words(one, servers), f"Sent {times}, {heard}")


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def diagrams(tries: Sequence[Try], servers: Mapping[int, Server]) -> list[Diagram]:
    """Draw these tries, in their order."""
    return [_diagram(one, servers) for one in tries]


def _diagram(one: Try, servers: Mapping[int, Server]) -> Diagram:
    lifelines = _lifelines(one, servers)
    ends = [transaction.end for transaction in one.transactions]
    last = one.ended_at
    return Diagram(
        at=_at(one.at),
        state=ladders.state(ends),
        verdict=ladders.verdict(one, servers),
        seconds=None if last is None else last - one.at,
        lifelines=list(lifelines.values()),
        steps=_timed(_steps(one, lifelines, servers)),
        text=as_text([one], lambda pk: ladders.name(pk, servers)),
        left_out=one.left_out,
    )


def _lifelines(one: Try, servers: Mapping[int, Server]) -> dict[tuple[int, str], Lifeline]:
    places = {(each.server_id, each.target): None for each in one.transactions}

    def rank(place: tuple[int, str]) -> int:
        server = servers.get(place[0])
        return server.priority if server else len(servers) + 1

    return {
        place: Lifeline(column, ladders.name(place[0], servers), place[1])
        for column, place in enumerate(sorted(places, key=rank), 1)
    }


def _steps(
    one: Try, lifelines: Mapping[tuple[int, str], Lifeline], servers: Mapping[int, Server]
) -> Iterator[Step]:
    for transaction in one.transactions:
        column = lifelines[transaction.server_id, transaction.target].column
        rest = range(len(lifelines) - column)
        good = transaction.end in GOOD
        for at, kind, label, note in _arrows(transaction, ladders.words(transaction, servers)):
            yield Step(_at(at), kind, label, note, column, rest, good or kind in ("ask", "again"))


def _arrows(one: Transaction, verdict: str) -> Iterator[tuple[float, str, str, str]]:
    """Yield (when, kind, label, note) of one transaction; its verdict stands where it ended."""
    yield one.started_at, "ask", "REGISTER", _asked(one)
    if repeats := one.sends[1:]:
        times = ", ".join(f"{at - one.started_at:.1f}" for at in repeats)
        label = "sent again" if len(repeats) == 1 else f"sent again {len(repeats)} times"
        yield repeats[0], "again", label, f"after {times} s"
    for answer in one.answers:
        is_end = answer is one.answers[-1] and not one.failure and one.end is not End.SILENT
        yield answer.at, "answer", answer.line, verdict if is_end else ""
    if one.failure:
        yield one.ended_at or one.sends[-1], "nothing", "not delivered", verdict
    elif one.end is End.SILENT and one.ended_at is not None:
        yield one.ended_at, "nothing", "no answer", verdict
    elif one.end is End.CUT and not one.answers:
        yield one.sends[-1], "nothing", "not known", verdict


def _asked(one: Transaction) -> str:
    parts = [f"CSeq {one.cseq}"]
    if not one.binds:
        parts.append("who is registered?")
    parts.append("with credentials" if one.has_credentials else "no credentials")
    if one.transport != "udp":
        parts.append(one.transport.upper())
    return ", ".join(parts)


def _timed(steps: Iterator[Step]) -> list[Step]:
    """Sort them in time and give each its distance to the one before."""
    timed: list[Step] = []
    for step in sorted(steps, key=lambda each: each.at):
        delta = (step.at - timed[-1].at).total_seconds() if timed else None
        timed.append(replace(step, delta=delta))
    return timed
