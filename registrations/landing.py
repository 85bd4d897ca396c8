"""Where the handsets of a server would land if it died now, and how long that would take.

Arithmetic only: an estimate from the renewals as planned, the group's policy and its cap. Seconds
are counted from now.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

REGISTERS_PER_MOVE = 2
"""A new server usually asks for credentials once; the retry takes a slot of the cap too."""


@dataclass(frozen=True, slots=True)
class Other:
    """Another server of the group, in the order in which its handsets try."""

    server_id: int
    is_silent: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """What of a group's policy decides where and when its handsets land."""

    holds_all: bool
    """A fallback group: a handset holds a registration at every server already."""
    rate: float
    """REGISTERs per second that each server gets; 0: no cap."""
    gives_up_s: float
    """How long a handset waits for a server that does not answer."""
    told_after_s: float | None
    """`fast_failover`: when the workers know and tell all; None: each finds out at its renewal."""


@dataclass(frozen=True, slots=True)
class Landing:
    """What would become of them."""

    handsets: int
    server_id: int | None
    """Who would take them; None: nobody."""
    in_vain: tuple[int, ...]
    """The silent servers they would ask before."""
    registers: int
    """REGISTERs that server would get, at most."""
    at_cap_s: float | None
    """How long so many take at the cap; None without a cap or with nothing to send."""
    first_s: float | None
    half_s: float | None
    last_s: float | None
    """When the first, the half and the last of them are over; None where nobody takes them."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """When the bindings that a server granted end, if nobody moves and nothing is renewed."""

    handsets: int = 0
    first: float | None = None
    half: float | None = None
    """When half of them have ended."""
    last: float | None = None


def horizon(ends: Iterable[tuple[float, int]]) -> Horizon:
    """Return when the first, the half and the last of these end: (when, how many), in any order."""
    found = sorted(ends)
    handsets = sum(n for _, n in found)
    if not handsets:
        return Horizon()
    gone, half = 0, found[-1][0]
    for at, n in found:
        gone += n
        if 2 * gone >= handsets:
            half = at
            break
    return Horizon(handsets, found[0][0], half, found[-1][0])


def land(others: Sequence[Other], renewals: Iterable[tuple[float, int]], rules: Rules) -> Landing:
    """Return where the handsets of a server that dies now would land.

    `others` are the group's other servers that take registrations, in order; `renewals` how many
    handsets next ask the dying one at which second, in order.
    """
    waiting = list(renewals)
    handsets = sum(n for _, n in waiting)
    in_vain: list[int] = []
    for other in others:
        if not other.is_silent:
            return _landed(waiting, handsets, other.server_id, tuple(in_vain), rules)
        in_vain.append(other.server_id)
    return Landing(handsets, None, tuple(in_vain), 0, None, None, None, None)


def _landed(
    waiting: Sequence[tuple[float, int]],
    handsets: int,
    server_id: int,
    in_vain: tuple[int, ...],
    rules: Rules,
) -> Landing:
    registers = 0 if rules.holds_all else REGISTERS_PER_MOVE * handsets
    pace = REGISTERS_PER_MOVE / rules.rate if rules.rate and not rules.holds_all else 0.0
    detour = 0.0 if rules.holds_all else rules.gives_up_s * len(in_vain)
    if rules.told_after_s is None:
        arrivals = [(max(0.0, at) + rules.gives_up_s + detour, n) for at, n in waiting]
    else:
        arrivals = [(rules.told_after_s + detour, handsets)] if handsets else []
    first, half, last = _over(arrivals, handsets, pace)
    at_cap = registers / rules.rate if rules.rate and registers else None
    return Landing(handsets, server_id, in_vain, registers, at_cap, first, half, last)


def _over(
    arrivals: Iterable[tuple[float, int]], handsets: int, pace: float
) -> tuple[float | None, float | None, float | None]:
    """Return when the first, half and all are through, one each `pace` seconds, as they come."""
    wanted = {1: 0.0, (handsets + 1) // 2: 0.0, handsets: 0.0}
    free_at, through = 0.0, 0
    for at, n in arrivals:
        begun = max(at, free_at)
        for place in wanted:
            if through < place <= through + n:
                wanted[place] = begun + (place - through) * pace
        free_at, through = begun + n * pace, through + n
    if not through:
        return None, None, None
    return wanted[1], wanted[(handsets + 1) // 2], wanted[handsets]
