"""A wrong password is one handset's trouble: shown with the registrar's words, asked rarely.

This one runs on the embedded database, so that the whole way is walked there too.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet import PRIMARY, SECONDARY, WARD_POLICY
from tests.support.hospital import Hospital, hospital
from tests.support.waiting import wait_until

LOCKED = 5
RETRY_EARLIEST = (30.0, 60.0, 120.0)
"""Seconds after the first, second and third refusal before which it must not ask again: half of
a minute that doubles each time."""


@pytest.fixture(scope="module")
def locked_ward(run_dir: Path) -> Iterator[Hospital]:
    with hospital(
        run_dir / "locked",
        addresses=(PRIMARY, SECONDARY),
        group="ward",
        count=500,
        policy={**WARD_POLICY, "expires": 30},
        locked=LOCKED,
    ) as running:
        yield running


def most_requests(elapsed: float) -> int:
    """What the retry rule allows in `elapsed` seconds: two requests (challenge, answer) a try."""
    tries, at = 1, 0.0
    for wait in RETRY_EARLIEST:
        at += wait
        tries += at <= elapsed
    return 2 * tries


@pytest.mark.timeout(900)
def test_exactly_those_are_rejected_and_no_server_is_pestered(locked_ward: Hospital) -> None:
    ward, began = locked_ward, time.monotonic()
    locked, well = ward.extensions[:LOCKED], ward.extensions[LOCKED:]
    wait_until(
        lambda: sorted(ward.primary.locations()) == well,
        60,
        "the 495 with a good password are on the primary",
        seen=ward.states,
    )
    wait_until(
        lambda: ward.states() == {"primary": len(well), "rejected": LOCKED},
        30,
        "the API shows exactly the five as rejected",
        seen=ward.states,
    )
    rejected = ward.product.registrations(state="rejected")
    assert sorted(row["extension"] for row in rejected) == locked
    for row in rejected:
        assert "403" in row["reason"] and "Wrong password" in row["reason"], row["reason"]
        assert row["server"] is None, row
    # A whole minute of it, so that the first retry (after 30 to 60 s) is among what is counted.
    wait_until(lambda: time.monotonic() > began + 65, 70, "a minute has gone", every=1)
    allowed = most_requests(time.monotonic() - began)
    asked = ward.primary.requests()
    for extension in locked:
        assert 2 <= asked[extension] <= allowed, (extension, asked[extension], allowed)
    assert ward.secondary.requests() == {}, "a refusal made somebody try the secondary"
    assert not set(locked) & set(ward.primary.locations())
    assert ward.states() == {"primary": len(well), "rejected": LOCKED}
