"""A primary that restarts without its table and its nonces costs nobody the registration."""

import time

import pytest

from tests.support.fleet import WARD_POLICY
from tests.support.hospital import Hospital, now


@pytest.mark.timeout(300)
def test_nobody_is_rejected_and_all_are_bound_again_within_one_renewal(ward: Hospital) -> None:
    began = now()
    with ward.watch(all_bound=False):
        ward.primary.restart_empty()
        assert len(ward.primary.locations()) < 100, "it forgot nothing, so this proves nothing"
        end = time.monotonic() + WARD_POLICY["expires"] + 3
        while missing := unbound(ward):
            assert ward.states()["rejected"] == 0, ward.states()
            assert time.monotonic() < end, f"{len(missing)} still bound nowhere: {ward.states()}"
            time.sleep(1)
    assert ward.transitions(began, state="rejected") == []
    assert len(ward.primary.locations()) > 450, "a restart of half a second moved many"


def unbound(ward: Hospital) -> set[str]:
    """Who is not in the table of the very server it is said to be on.

    Those whose renewal met the closed port in the half second of the restart have moved.
    """
    rows = ward.product.registrations()
    on_secondary = {row["extension"] for row in rows if row["state"] == "secondary"}
    held = set(ward.primary.locations()) | (on_secondary & set(ward.secondary.locations()))
    return set(ward.extensions) - held
