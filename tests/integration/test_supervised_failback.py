"""1,000 handsets are moved away and home under supervision; two real registrars are the judges.

One story, in which at every look each address of record is bound somewhere: drained, brought home
while the primary refuses every tenth and the worker is killed in mid-wave, rolled back, and
stopped in its first wave by the default threshold.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleet import Policy
from tests.support.hospital import Hospital, hospital, now
from tests.support.product import ADMIN
from tests.support.stores import Postgres
from tests.support.waiting import wait_until

HANDSETS = 1000
REFUSED = 403
POLICY: Policy = {
    # Long: what is to be seen here is moves, not renewals.
    "expires": 900,
    "re_register_on": True,
    # Nobody goes home by the clock: only an order moves anybody.
    "fail_back_mode": "duration",
    "fail_back_timeout": 0,
    "max_registrations_per_second": 200,
}


@pytest.fixture(scope="module")
def wing(run_dir: Path, postgres: Postgres) -> Iterator[Hospital]:
    with hospital(
        run_dir / "wing",
        addresses=("127.0.0.6", "127.0.0.7"),
        group="wing",
        count=HANDSETS,
        policy=POLICY,
        database_url=postgres.create("wing"),
    ) as running:
        yield running


def job(wing: Hospital, pk: int) -> dict[str, Any]:
    found: dict[str, Any] = wing.product.get(f"/api/v1/failbacks/{pk}/")
    return found


def over(wing: Hospital, pk: int, deadline: float) -> dict[str, Any]:
    """The job once it is over."""
    wait_until(
        lambda: job(wing, pk)["finished_at"],
        deadline,
        f"job {pk} is over",
        every=0.5,
        seen=lambda: {**job(wing, pk), "results": "…"},
    )
    return job(wing, pk)


def by_result(found: dict[str, Any]) -> Counter[str]:
    return Counter(result["result"] for result in found["results"])


def empty_the_primary(wing: Hospital) -> None:
    """By a drain, whose handsets are not called home at its end."""
    primary = wing.product.every("groups")[0]["servers"][0]
    ends = (now() + timedelta(hours=1)).isoformat()
    order = {"server": primary["id"], "ends_at": ends}
    drain = wing.product.post("/api/v1/drains/", order)
    done = over(wing, drain["away_job"], 90)
    assert by_result(done) == {"moved": HANDSETS}, by_result(done)
    wing.wait_for(wing.secondary, 30)
    # What it was drained for: it comes back with an empty table.
    wing.primary.restart_empty()
    ended = wing.product.post(f"/api/v1/drains/{drain['id']}/end/", {})
    wing.product.post(f"/api/v1/failbacks/{ended['home_job']}/cancel/", {})
    over(wing, ended["home_job"], 30)
    path = f"/api/v1/drains/{drain['id']}/"
    wait_until(lambda: wing.product.get(path)["state"] == "done", 15, "the drain is over")


@pytest.mark.timeout(1200)
def test_every_tenth_is_refused_and_nobody_is_lost(wing: Hospital) -> None:
    wing.wait_for(wing.primary, 90)
    # Who is bound but not saved yet is on no server by the rows a drain goes by.
    wing.wait_for_state("primary", 30)
    refused = set(wing.extensions[9::10])
    with wing.watch(all_bound=True):
        empty_the_primary(wing)
        for extension in refused:
            wing.primary.set_fault(REFUSED, extension)
        done = bring_home_although_the_worker_dies(wing)
        follow_from_the_order_to_the_registers(wing, done)
        reported = {r["extension"] for r in done["results"] if r["result"] == "refused"}
        assert reported == refused
        assert by_result(done)["refused"] + by_result(done)["moved"] >= HANDSETS - 1
        assert all("403" in r["reason"] for r in done["results"] if r["result"] == "refused")
        rows = wing.product.registrations()
        assert {r["extension"] for r in rows if r["state"] == "secondary"} == refused
        assert refused <= set(wing.secondary.locations())
        assert set(wing.primary.locations()) == set(wing.extensions) - refused
        roll_back(wing, done, refused)
        stop_in_the_first_wave(wing, refused)


def bring_home_although_the_worker_dies(wing: Hospital) -> dict[str, Any]:
    worker = wing.product.running_workers()[0]
    order = {"all": True, "abort_above_percent": 100}
    ordered = wing.product.post("/api/v1/failbacks/", order)
    assert ordered["wave"] == 0, "the canary goes first"
    wait_until(lambda: len(wing.primary.locations()) >= 150, 60, "150 are home", every=0.05)
    worker.kill()
    assert wing.leased(), "nothing was in the worker's hands, so its death proves nothing"
    in_the_midst = job(wing, ordered["id"])
    assert in_the_midst["wave"] >= 1
    assert in_the_midst["done"] < HANDSETS, "it was over already"
    wing.product.start_worker()
    done = over(wing, ordered["id"], 120)
    assert done["state"] == "done"
    return done


def follow_from_the_order_to_the_registers(wing: Hospital, done: dict[str, Any]) -> None:
    """One id leads through the logs of all processes, and the audit log has it too."""
    mark, home = f"request={done['request_id']}", wing.product.home
    said = {
        name: [
            line
            for path in home.glob(f"{name}*.log")
            for line in path.read_text().splitlines()
            if mark in line
        ]
        for name in ("web", "worker")
    }

    def found(name: str, *words: str) -> list[str]:
        return [line for line in said[name] if all(f"{word} " in f"{line} " for word in words)]

    assert len(found("web", 'event="POST /api/v1/failbacks/"', f"user={ADMIN}")) == 1
    assert len(found("web", 'event="job ordered"', f"job={done['id']}")) == 1
    assert found("worker", 'event="wave begun"', f"job={done['id']}")
    assert found("worker", "event=claimed", "wish=failback")
    for result, answer in (("moved", "200"), ("refused", str(REFUSED))):
        mine = next(r["registration"] for r in done["results"] if r["result"] == result)
        registers = found("worker", "event=REGISTER", f"registration={mine}")
        assert any(f'answer="{answer}' in line for line in registers), registers
        assert found("worker", 'event="carried out"', f"registration={mine}", f"outcome={result}")
    audited = wing.sql("SELECT 1 FROM auditlog_logentry WHERE cid = %s", done["request_id"])
    assert audited


def roll_back(wing: Hospital, done: dict[str, Any], refused: set[str]) -> None:
    back = wing.product.post(f"/api/v1/failbacks/{done['id']}/rollback/", {})
    assert back["kind"] == "rollback"
    moved = by_result(over(wing, back["id"], 90))
    assert moved["moved"] == by_result(done)["moved"], moved
    wait_until(
        lambda: wing.states()["secondary"] >= HANDSETS - 1,
        30,
        "all are on the secondary again",
        seen=wing.states,
    )
    assert refused <= set(wing.secondary.locations())


def stop_in_the_first_wave(wing: Hospital, refused: set[str]) -> None:
    order = {"group": wing.group_id()}
    status, said = wing.product.request("POST", "/api/v1/failbacks/", order)
    assert status == 409 and b"rolled back by job" in said, said
    ordered = wing.product.post("/api/v1/failbacks/", {**order, "despite_hold": True})
    stopped = over(wing, ordered["id"], 90)
    assert (stopped["state"], stopped["wave"]) == ("aborted", 1)
    assert "more than 5 %" in stopped["abort_reason"]
    assert by_result(stopped)["cancelled"] >= 400, "whoever had not had his turn was not asked"
    reported = {r["extension"] for r in stopped["results"] if r["result"] == "refused"}
    assert reported <= refused
    assert len(reported) > 25
