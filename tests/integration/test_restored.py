"""An installation that is lost comes back from its backup, on the other database, by itself.

Real parts: Kamailio judges who is bound, by which call, and whether anybody is bound twice.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet import PRIMARY, SECONDARY, WARD_POLICY
from tests.support.hospital import Hospital, hospital
from tests.support.product import Product
from tests.support.stores import Postgres
from tests.support.waiting import wait_until

COUNT = 30


@pytest.fixture
def lost(run_dir: Path) -> Iterator[Hospital]:
    """On the embedded database; the test ends it."""
    with hospital(
        run_dir / "lost",
        addresses=(PRIMARY, SECONDARY),
        group="ward",
        count=COUNT,
        policy=WARD_POLICY,
    ) as running:
        running.wait_for(running.primary, 90)
        yield running


@pytest.mark.timeout(900)
def test_the_restored_installation_goes_on_and_believes_nobody_before_it_has_heard_of_them(
    lost: Hospital, run_dir: Path, postgres: Postgres
) -> None:
    archive = run_dir / "lost.rollcall"
    lost.product.manage("backup", str(archive))
    # It goes on for a while: what it does now is in no backup.
    before = {user: c.cseq for user, (c,) in lost.primary.locations().items()}
    wait_until(
        lambda: all(c.cseq > before[user] for user, (c,) in lost.primary.locations().items()),
        120,
        "every handset has renewed since the backup",
    )
    calls = {user: c.call_id for user, (c,) in lost.primary.locations().items()}
    lost.product.stop()

    new = Product(
        run_dir / "restored", redis_url=lost.redis.url, database_url=postgres.create("restored")
    )
    new.env["SIP_CONTACT"] = lost.product.env["SIP_CONTACT"]
    said = new.manage("restore", str(archive))
    assert f"Restored {COUNT} handsets" in said
    new.token = lost.product.token
    try:
        new.start_processes()
        wait_until(
            lambda: new.states() == {"primary": COUNT},
            120,
            "the restored fleet is on the primary",
            seen=new.states,
        )
        now = lost.primary.locations()
        assert sorted(now) == sorted(lost.extensions)
        for user, contacts in now.items():
            (one,) = contacts
            # The Call-ID of the backup went on to numbers the backup does not know.
            assert one.call_id != calls[user]
        story = new.every("transitions")
        for extension in lost.extensions:
            moves = [row for row in story if row["extension"] == extension]
            moves.sort(key=lambda row: (row["at"], row["id"]))
            states = [row["to"]["state"] for row in moves]
            assert states[0] == "primary" and states[-1] == "primary"
            assert states[1] == "unknown" and moves[1]["cause"] == "gap"
            led = [row["from"]["state"] for row in moves[1:]]
            assert led == states[:-1], "each change begins where the one before it ended"
    finally:
        new.stop()
