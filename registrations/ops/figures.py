"""What Rollcall does, in figures, each with a sentence of what is normal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from registrations.ops.parts import moment
from registrations.templatetags.rollcall import took
from registrations.vitals import Vitals, counters
from registrations.vitals.counters import SUM, Histogram, Key

FEW = 20
"""Values under which a share or a quantile says nothing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in words, and what is normal. `is_odd`: this is not."""

    name: str
    value: str
    normal: str
    is_odd: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """`rates` over the last minute or two, `mishaps` since the hour before this one began."""

    rates: tuple[Figure, ...]
    seconds: int
    mishaps: tuple[Figure, ...]
    since: datetime


def of(vitals: Vitals) -> Figures:
    """Return the figures of what all processes counted."""
    return Figures(
        rates=tuple(_rates(vitals)),
        seconds=round(vitals.lately_s),
        mishaps=tuple(_mishaps(vitals)),
        since=moment(vitals.hours_since),
    )


def _rates(vitals: Vitals) -> Iterable[Figure]:
    counts, seconds = vitals.lately, vitals.lately_s
    yield Figure(
        "Claims",
        _rate(total(counts, "claims"), seconds),
        "At rest: handsets divided by the seconds between renewals. During a job up to the cap.",
    )
    yield Figure(
        "REGISTERs",
        _rate(total(counts, "registers"), seconds),
        "One or two for each claim: servers may challenge the first.",
    )
    ends = total(counts, "register_answers")
    mute = sum(
        n for key, n in counts.items() if key[0] == "register_answers" and key[-1] in _UNANSWERED
    )
    yield Figure(
        "Answered",
        f"{100 * (1 - mute / ends):.1f} %" if ends else "–",
        "Above 99 %. Less: a server is silent or overloaded.",
        is_odd=ends >= FEW and mute / ends > 0.01,
    )
    yield _quantile(
        "Answer took", counts, counters.ROUND_TRIP, 0.25, "95 % of REGISTERs; below 0.25 s."
    )
    writes = _count(counts, counters.FLUSH_ROWS)
    rows = total(counts, "flush_rows", SUM)
    yield Figure(
        "Results per write",
        f"{rows / writes:.1f}" if writes else "–",
        "Few at rest; at most 500, in a storm of changes.",
    )
    yield _quantile(
        "Write took", counts, counters.FLUSH_SECONDS, 0.5, "95 % of writes; below 0.5 s."
    )


_UNANSWERED = ("timeout", "network")


def _mishaps(vitals: Vitals) -> Iterable[Figure]:
    for name, word, normal, most in _MISHAPS:
        n = total(vitals.hours, name)
        yield Figure(word, f"{n:,.0f}", normal, is_odd=n > most)


_MISHAPS = (
    (
        "claims_again",
        "Claimed again without a result",
        "Normal: 0; after a worker's restart or death what it had in its hands.",
        0,
    ),
    ("leases_lost", "Leases lost", "Normal: 0. A worker was frozen, or its database slow.", 0),
    ("agents_begun_anew", "Agents begun anew", "Normal: 0. They failed or came to no end.", 0),
    ("flush_failures", "Writes that failed", "Normal: 0. They are tried until they succeed.", 0),
    ("traces_lost", "SIP traces lost", "Normal: 0. Redis was full, slow or away.", 0),
    ("sockets_dropped", "Live pages dropped", "Normal: few. They took nothing for 10 s.", 20),
    ("live_gaps", "Gaps in live news", "Normal: few; healed at once by reading all again.", 50),
)
"""Of each counter: its word, what is normal, and above how many it is not."""


def total(counts: Mapping[Key, float], name: str, part: str = "") -> float:
    """Return the sum of a counter over its labels; of a histogram's part where one is named."""
    return sum(n for key, n in counts.items() if key[0] == name and (not part or key[-1] == part))


def _count(counts: Mapping[Key, float], kept: Histogram) -> float:
    return total(counts, kept.name) - total(counts, kept.name, SUM)


def _quantile(
    word: str, counts: Mapping[Key, float], kept: Histogram, most: float, normal: str
) -> Figure:
    """Return the bound under which 95 % lie: no more is known of them."""
    whole = _count(counts, kept)
    if not whole:
        return Figure(word, "–", normal)
    below = 0.0
    for number, bound in enumerate(kept.bounds):
        below += total(counts, kept.name, str(number))
        if below >= 0.95 * whole:
            return Figure(word, f"≤ {took(bound)}", normal, is_odd=whole >= FEW and bound > most)
    return Figure(word, f"> {took(kept.bounds[-1])}", normal, is_odd=True)


def _rate(n: float, seconds: float) -> str:
    rate = n / seconds
    return f"{rate:,.0f} a second" if rate >= 10 else f"{rate:.1f} a second"
