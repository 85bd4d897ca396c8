"""From when on something is an incident, and from when on it is over. Seconds and handsets."""

from dataclasses import dataclass

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

    def is_passed(self, handsets: int, of: int, lasted_s: float) -> bool:
        if lasted_s < self.after_s or handsets < self.at_least:
            return False
        return handsets * 100 >= self.percent * max(of, 1)


LIMITS = {
    # Silence is judged by several probes before, sickness by many refusals. A few seconds show
    # whether the site's other servers fall silent too.
    SERVER_SILENT: Limit(after_s=4, good_s=60),
    SERVER_SICK: Limit(good_s=60),
    SITE_NETWORK: Limit(good_s=30),
    CREDENTIALS: Limit(at_least=5, percent=1, after_s=60, good_s=60),
    HANDSET: Limit(at_least=1, after_s=300, good_s=60),
    FLAPPING: Limit(at_least=1, good_s=600),
    WORKER_SILENT: Limit(after_s=15, good_s=30),
    BEAT_SILENT: Limit(after_s=15, good_s=30),
    PROOF_LOST: Limit(at_least=10, percent=2, good_s=300),
    HORIZON: Limit(at_least=1, good_s=30),
    DRILL: Limit(at_least=1, good_s=30),
}

FEW = 5
"""So many handsets without a server are named one by one; more are one incident of their group."""

HORIZON_S = 600.0
"""A binding that ends so soon runs out soon."""

RELAPSES = 3
"""What came back so often before it was over flaps: it is over only after FLAPPING's `good_s`."""

GROWTH = 1.5
"""An incident that hits so many times as many handsets as were told of has grown."""
