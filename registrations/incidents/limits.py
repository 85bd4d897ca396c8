"""From when on something is an incident, and from when on it is over. Seconds and handsets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

SERVER_SILENT, SERVER_SICK, SITE_NETWORK = "server_silent", "server_sick", "site_network"
CREDENTIALS, HANDSET, FLAPPING = "credentials", "handset", "flapping"
WORKER_SILENT, BEAT_SILENT = "worker_silent", "beat_silent"
PROOF_LOST, HORIZON, DRILL = "proof_lost", "horizon", "drill"

WARNING, CRITICAL = "warning", "critical"


@dataclass(frozen=True, slots=True)
class Limit:
    """All three must be passed; it is over once nothing was wrong for `good_s`."""

    at_least: int = 0
    """Handsets."""
    percent: float = 0.0
    after_s: float = 0.0
    good_s: float = 60.0
    times: int = 0
    """Changes that make a handset flap; good answers that make a silent server answer again."""
    within_s: float = 0.0
    """So close together they are; so near a binding's end is."""
    calm_s: float = 0.0
    """What flaps has changed within it."""

    def is_passed(self, handsets: int, of: int, lasted_s: float) -> bool:
        if lasted_s < self.after_s or handsets < self.at_least:
            return False
        return handsets * 100 >= self.percent * max(of, 1)


FEW = 5
"""So many handsets without a server are named one by one; more are one incident of their group."""

LIMITS: Mapping[str, Limit] = {
    # Silence is judged by several probes before, sickness by many refusals. A few seconds show
    # whether the site's other servers fall silent too.
    SERVER_SILENT: Limit(after_s=4, good_s=60, times=3, within_s=60),
    SERVER_SICK: Limit(good_s=60),
    SITE_NETWORK: Limit(good_s=30),
    CREDENTIALS: Limit(at_least=FEW + 1, percent=1, after_s=60, good_s=60),
    HANDSET: Limit(at_least=1, after_s=300, good_s=60),
    FLAPPING: Limit(at_least=1, good_s=600, times=6, within_s=1800, calm_s=300),
    WORKER_SILENT: Limit(after_s=15, good_s=30),
    BEAT_SILENT: Limit(after_s=15, good_s=30),
    PROOF_LOST: Limit(at_least=10, percent=2, good_s=300),
    HORIZON: Limit(at_least=1, good_s=30, within_s=600),
    DRILL: Limit(at_least=1, good_s=30),
}
"""What holds where nobody has said otherwise."""

Range = tuple[int, int]

_MOST_HANDSETS, _DAY = 1_000_000, 86_400
_TIMES: Mapping[str, Range] = {"after_s": (0, _DAY), "good_s": (0, _DAY)}
_ALL: Mapping[str, Range] = {"at_least": (0, _MOST_HANDSETS), "percent": (0, 100), **_TIMES}

NUMBERS: Mapping[str, Mapping[str, Range]] = {
    SERVER_SILENT: {**_ALL, "times": (1, 20), "within_s": (2, 3600)},
    SERVER_SICK: _ALL,
    SITE_NETWORK: _ALL,
    CREDENTIALS: {**_ALL, "at_least": (FEW + 1, _MOST_HANDSETS)},
    HANDSET: _ALL,
    FLAPPING: {**_ALL, "times": (2, 1000), "within_s": (60, 21_600), "calm_s": (60, 21_600)},
    WORKER_SILENT: _TIMES,
    BEAT_SILENT: _TIMES,
    PROOF_LOST: _ALL,
    HORIZON: {**_ALL, "within_s": (30, _DAY)},
    DRILL: _ALL,
}
"""Which numbers of a limit count for each kind, and from what to what each may be."""

ASKED_EVERY_S = 2
"""So often, about, a silent server is asked once it has answered."""


def changed(kind: str, given: Mapping[str, int | None]) -> Limit:
    """Return the limit of a kind with what was given; None: as it is by default."""
    said = {name: value for name, value in given.items() if value is not None}
    return replace(LIMITS[kind], **said)


def faults(kind: str, given: Mapping[str, int | None]) -> dict[str, str]:
    """Return what is wrong with these numbers, by name."""
    wrong = {}
    for name, value in given.items():
        if value is None:
            continue
        if name not in NUMBERS[kind]:
            wrong[name] = "Incidents of this kind have no such number."
        elif not (NUMBERS[kind][name][0] <= value <= NUMBERS[kind][name][1]):
            least, most = NUMBERS[kind][name]
            wrong[name] = f"Give a whole number from {least:,} to {most:,}, or none."
    return wrong or _odd(kind, changed(kind, given))


def _odd(kind: str, limit: Limit) -> dict[str, str]:
    """What could never be passed."""
    if kind == FLAPPING and limit.calm_s > limit.within_s:
        return {"calm_s": f"Give at most {limit.within_s:.0f}: so long changes are counted."}
    needed = ASKED_EVERY_S * limit.times
    if kind == SERVER_SILENT and limit.within_s < needed:
        said = f"Give at least {needed}: it is asked about every {ASKED_EVERY_S} seconds."
        return {"within_s": said}
    return {}


RELAPSES = 3
"""What came back so often before it was over flaps: it is over only after FLAPPING's `good_s`."""

GROWTH = 1.5
"""An incident that hits so many times as many handsets as were told of has grown."""
