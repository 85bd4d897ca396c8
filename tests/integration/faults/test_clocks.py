"""The machine's clock is set under the running product: by an hour back, and forward again."""

import time

import pytest

from tests.support.chaos import EXPIRES_S, Fault
from tests.support.outside import CAP, Outside
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)

HOUR = 3600.0


@pytest.mark.parametrize(
    ("name", "seconds"), [("set back by an hour", -HOUR), ("set right again", 0.0)]
)
def test_a_clock_that_is_set_moves_nobody_and_unregisters_nobody(
    world: Outside, name: str, seconds: float
) -> None:
    ward = world.hospital
    with Fault(ward, f"the machine's clock is {name}"), ward.watch(all_bound=True):
        history = ward.sql("SELECT count(*) FROM registrations_transition")
        before = sum(ward.primary.requests().values())
        world.set_clock(seconds)
        began = time.monotonic()
        # A binding and a half: whoever were not renewed in time would be missing by now.
        wait_until(
            lambda: time.monotonic() > began + 1.5 * EXPIRES_S, 2 * EXPIRES_S, "it went on", every=1
        )
        asked = sum(ward.primary.requests().values()) - before
    # Renewed at once, and then as ever: nobody was asked again and again.
    most = len(ward.extensions) * 5 + CAP
    assert len(ward.extensions) <= asked <= most, f"{asked} requests in {1.5 * EXPIRES_S:.0f} s"
    assert ward.sql("SELECT count(*) FROM registrations_transition") == history
