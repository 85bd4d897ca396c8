"""A primary that restarts without its table and its nonces costs nobody the registration."""

import time

import pytest

from tests.support.fleet import WARD_POLICY, holders
from tests.support.hospital import Hospital, now


@pytest.mark.timeout(300)
def test_nobody_is_rejected_and_all_are_bound_again_within_one_renewal(ward: Hospital) -> None:
    began = now()
    with ward.watch(all_bound=False):
        ward.primary.restart_empty()
        end = time.monotonic() + WARD_POLICY["expires"] + 3
        while True:
            states = ward.states()
            assert states["rejected"] == 0, states
            bound = holders([ward.primary, ward.secondary])
            missing = set(ward.extensions).difference(*bound.values())
            if not missing:
                break
            assert time.monotonic() < end, f"{len(missing)} still bound nowhere: {states}"
            time.sleep(1)
    assert ward.transitions(began, state="rejected") == []
    # Those whose renewal met the closed port in the half second of the restart have moved.
    assert len(ward.primary.locations()) > 450
