"""Would a server take this handset? What its answer to a REGISTER without a Contact proves.

RFC 3261 section 10.2.3: such a REGISTER binds nothing and asks who is bound. A registrar asks for
credentials and looks for the address of record all the same, so its answer is the one a handset
would get that has to move there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from registrations.values import Outcome
from registrations.values import Verdict as Ended


class Proof(StrEnum):
    """What is known of one handset at one server. STALE and SILENT may be derived by queries."""

    PROVED = "proved"
    """It asked for credentials and took ours."""
    OPEN = "open"
    """It answered without asking for credentials: the password is unproved."""
    REFUSED = "refused"
    """It refused the credentials, or forbids this handset."""
    UNKNOWN_AOR = "unknown_aor"
    """It does not know the address of record."""
    SILENT = "silent"
    """It did not answer."""
    UNCLEAR = "unclear"
    """It answered something that says neither."""
    STALE = "stale"
    """The last answer is too old to be believed."""
    UNASKED = "unasked"
    """It was not asked yet."""


TAKES = frozenset({Proof.PROVED})
"""The server would take it."""
TAKES_NOT = frozenset({Proof.REFUSED, Proof.UNKNOWN_AOR, Proof.SILENT})
"""The server would not; with any other word nobody can say."""
REFUSALS = frozenset({Proof.REFUSED, Proof.UNKNOWN_AOR})
"""Answers that what guards a server (fail2ban) counts against who asks."""

LONGEST_S = 86_400.0
"""However often it refused, a handset is asked for again after this long."""
BRAKE_AT = 3
BRAKE_S = 600.0
"""A place that refused BRAKE_AT handsets within BRAKE_S is asked nothing for a while: guards shut
out who fails five times in ten minutes, and the fleet's own registrations come from here too."""
SOONEST_S = 300.0
"""After no answer, or an unclear one."""
STALE_AFTER = 2.0
"""Rounds by which a question is overdue when its last answer is not believed any more."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one question came to."""

    proof: Proof
    reason: str
    """A sentence for an admin."""


def read(outcome: Outcome) -> Finding:
    """Say what the end of a REGISTER without a Contact proves."""
    code, said = outcome.code, outcome.answer
    if code is None or code == 408:
        return Finding(Proof.SILENT, outcome.sentence)
    if 200 <= code < 300:
        if outcome.with_credentials:
            return Finding(Proof.PROVED, f"It took the user name and password ({said}).")
        return Finding(
            Proof.OPEN,
            f"It answers without asking for a password ({said}), so that is not proved.",
        )
    if code in (404, 604):
        return Finding(Proof.UNKNOWN_AOR, outcome.sentence)
    if outcome.verdict is Ended.REFUSED:
        return Finding(Proof.REFUSED, outcome.sentence)
    if code in (400, 405, 501):
        return Finding(
            Proof.UNCLEAR,
            f"It does not answer a REGISTER that only asks ({said}): this cannot be proved there.",
        )
    return Finding(Proof.UNCLEAR, outcome.sentence)


def wait(proof: Proof, refusals: int, every_s: float, random: Callable[[], float]) -> float:
    """Return the seconds until the next question.

    `refusals` counts those in a row, this answer's among them. `random` (0 to 1) keeps what once
    came together from coming together for ever.
    """
    if proof in REFUSALS:
        pause = min(every_s * 2.0 ** min(refusals, 16), max(LONGEST_S, every_s))
    elif proof in (Proof.SILENT, Proof.UNCLEAR):
        pause = max(SOONEST_S, every_s)
    else:
        pause = every_s
    return pause * (0.9 + 0.1 * random())
