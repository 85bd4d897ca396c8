"""Ten thousand bindings that end within the same minutes, nobody there to renew them until then."""

from collections import Counter

import pytest

from benchmarks.simulation.hospital import START, Handset, Hospital
from benchmarks.simulation.script import Site
from registrations.values import Policy

pytestmark = pytest.mark.timeout(1200)

HANDSETS, CAP, EXPIRES_S = 10_000, 200, 3600
ARRIVED_S = 4 * HANDSETS / CAP
"""In which all have asked who is bound, have been challenged and are bound."""
LATE_AT = START + EXPIRES_S - 65.0
"""The workers are back: all are due, and the first binding ends in 65 s. At the cap it takes 50."""


class Crowd(Hospital):
    """Nobody claims anything from when all are bound until shortly before the first one lapses."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.lapsed: list[str] = []
        self.renewed: Counter[int] = Counter()
        self._answer = self.registrars[0].answer
        self.registrars[0].answer = self._watched  # type: ignore[method-assign]

    def _due(self, handset: Handset, at: float) -> None:
        super()._due(handset, LATE_AT if START + ARRIVED_S < at < LATE_AT else at)

    def _watched(self, fields: dict[str, str], now: float) -> tuple[int, bytes]:
        before = self.registrars[0].bindings.get(fields["To"])
        answer = self._answer(fields, now)
        if "Contact" in fields and answer[0] == 200:
            self.renewed[int(now - START)] += 1
            if before is not None and before[1] < now:
                self.lapsed.append(fields["To"])
        return answer


@pytest.fixture
def crowd() -> Crowd:
    policy = Policy(expires=EXPIRES_S, max_registrations_per_second=CAP)
    return Crowd(Site("crowd", policy, handsets=HANDSETS, hours=2.1))


def test_they_are_renewed_at_the_cap_nobody_lapses_and_they_drift_apart(crowd: Crowd) -> None:
    found = crowd.live()
    assert found.violations == {}, found.examples
    assert crowd.lapsed == []
    late = int(LATE_AT - START)
    rush = [crowd.renewed[second] for second in range(late, late + 250)]
    assert sum(rush) == HANDSETS
    assert sum(rush[:60]) > 0.8 * HANDSETS, "too few were due at once for this to prove anything"
    assert 0.9 * CAP <= max(rush) <= CAP
    after = [crowd.renewed[second] for second in range(late + 250, 7560)]
    assert sum(after) == HANDSETS, "each once more"
    assert max(after) < CAP / 2, "they still come all at once"
    assert found.longest_off == 0.0
