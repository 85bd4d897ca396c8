"""Agents that hang in a worker that lives: found, shown, and begun anew by the system itself."""

import pytest

from tests.support.chaos import EXPIRES_S, SETTLED_S, Fault
from tests.support.hospital import Hospital
from tests.support.waiting import wait_until

HOURS_AGO = "UPDATE registrations_registration SET claimed_at = now() - interval '5 hours'"
"""Beyond what any claim here may last: nobody waits for that."""
STILL_S = 47.0
"""The longest legal silence of an agent of this fleet."""


@pytest.mark.timeout(900)
def test_hung_agents_are_ended_by_their_worker_or_else_by_the_watch(icu: Hospital) -> None:
    seen, unseen = icu.extensions[:2]
    pk = registration(icu, unseen)
    with Fault(icu, "two agents hang in a worker that lives", within=SETTLED_S + 30) as fault:
        for worker in icu.product.running_workers():
            worker.stop()
        hung = icu.product.start_worker(
            "tests.support.wedged", {"HANG_ONCE": seen, "HANG_TWICE": unseen}
        )
        for times in (1, 2):
            wait_until(lambda: pk in icu.leased(), EXPIRES_S + 40, f"{unseen} hangs", every=0.1)
            # Its worker does not see it and goes on extending its lease: so the watch must.
            icu.sql(f"{HOURS_AGO} WHERE id = %s AND lease_token IS NOT NULL RETURNING id", pk)
            wait_until(lambda: restarts(icu, pk) == times, 40, "the lease is broken")  # noqa: B023
        # The second time it rests for half a minute before it is begun anew.
        assert unseen in stuck(icu)
        assert "stuck since" in icu.product.get("/api/v1/summary/")["headline"]
        log = icu.product.home / f"{hung.name}.log"
        wait_until(
            lambda: "is stuck, still for" in log.read_text(),
            EXPIRES_S + STILL_S + 40,
            f"the worker ends {seen}",
        )
        fault.mended()
    assert stuck(icu) == set()
    assert restarts(icu, pk) == 0
    hung.stop()
    icu.product.start_worker()


def registration(icu: Hospital, extension: str) -> int:
    [[pk]] = icu.sql(
        "SELECT r.id FROM registrations_registration r JOIN fleet_line l ON l.id = r.line_id "
        "WHERE l.extension = %s",
        extension,
    )
    return int(pk)


def restarts(icu: Hospital, pk: int) -> int:
    [[n]] = icu.sql("SELECT restarts FROM registrations_registration WHERE id = %s", pk)
    return int(n)


def stuck(icu: Hospital) -> set[str]:
    """Who is shown as stuck, by the API's filter and in words."""
    rows = icu.product.registrations(stuck="true")
    assert all(", stuck since " in row["state_word"] for row in rows)
    return {row["extension"] for row in rows}
