"""The web process dies under those who look at it."""

import pytest

from tests.support.chaos import Fault
from tests.support.hospital import Hospital

pytestmark = pytest.mark.timeout(900)


def test_the_web_process_is_killed_under_open_sockets(icu: Hospital) -> None:
    with Fault(icu, "web process killed under open sockets") as fault, icu.watch(all_bound=True):
        assert icu.product.web is not None
        before = fault.screen.connections
        icu.product.web.kill()
        fault.is_said("stale")
        icu.product.start_web()
        fault.mended()
    assert fault.screen.connections > before, "nobody connected again"
