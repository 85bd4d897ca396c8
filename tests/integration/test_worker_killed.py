"""A worker that dies in the middle of the move takes nobody with it."""

import pytest

from tests.support.hospital import Hospital
from tests.support.kamailio import SILENCE
from tests.support.waiting import wait_until


@pytest.mark.timeout(400)
def test_all_arrive_although_the_worker_is_killed_in_the_middle_of_the_move(
    ward: Hospital,
) -> None:
    worker = ward.product.running_workers()[0]
    with ward.watch(all_bound=False):
        # Silence, not a closed port: each handset then is on its way for two seconds, so that
        # the worker has many in its hands when it dies.
        ward.primary.set_fault(SILENCE)
        wait_until(lambda: len(ward.secondary.locations()) >= 100, 60, "100 have moved", every=0.1)
        worker.kill()
        held = ward.leased()
        assert held, "nothing was in the worker's hands, so its death proves nothing"
        assert len(ward.secondary.locations()) < 450, "the move was over already"
        ward.product.start_worker()
        # The lease (30 s) of those it held, then their two seconds; the others' own renewals.
        ward.wait_for(ward.secondary, 75)
    ward.wait_for_state("secondary", 10)
