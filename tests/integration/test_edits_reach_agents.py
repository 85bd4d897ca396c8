"""An edit of a policy and of the order of servers reaches real agents, and nobody seems lost."""

import itertools
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.fleet import Policy
from tests.support.hospital import Hospital, hospital, now
from tests.support.waiting import wait_until

HANDSETS, CAP = 60, 15
POLICY: Policy = {
    "expires": 20,
    "expires_overlap": 5,
    "re_register_on": True,
    "fail_back_mode": "registration",
    "max_registrations_per_second": CAP,
}


@pytest.fixture(scope="module")
def annex(run_dir: Path) -> Iterator[Hospital]:
    with hospital(
        run_dir / "annex",
        addresses=("127.0.0.8", "127.0.0.9"),
        group="annex",
        count=HANDSETS,
        policy=POLICY,
    ) as running:
        yield running


@pytest.mark.timeout(600)
def test_edits_reach_the_agents_and_nobody_is_shown_without_a_server(annex: Hospital) -> None:
    annex.wait_for(annex.primary, 120)
    annex.wait_for_state("primary", 30)
    with annex.watch(all_bound=True):
        a_policy_changes_nothing_but_itself(annex)
        another_primary_takes_them_over_at_its_pace(annex)


def a_policy_changes_nothing_but_itself(annex: Hospital) -> None:
    began = now()
    path = f"/api/v1/groups/{annex.group_id()}/"
    status, said = annex.product.request("PATCH", path, {"expires": 24, "retry_max_count": 5})
    assert status == 200, said
    # The registrars grant what is asked for: the new figure is in their tables.
    wait_until(
        lambda: max(c[0].expires for c in annex.primary.locations().values()) > 20,
        60,
        "agents ask for the new time",
        every=0.05,
    )
    annex.all_renew(90)
    assert annex.transitions(began) == [], "a policy alone moves nobody"


def another_primary_takes_them_over_at_its_pace(annex: Hospital) -> None:
    began = now()
    [group] = annex.product.every("groups")
    lower = group["servers"][1]["id"]
    status, said = annex.product.request("PATCH", f"/api/v1/servers/{lower}/", {"priority": 1})
    assert status == 200, said
    annex.wait_for(annex.secondary, 120)
    annex.wait_for_state("primary", 30)
    rows = annex.transitions(began)
    assert {row["to"]["state"] for row in rows} <= {"primary", "secondary"}, "nobody was lost"
    home = [row for row in rows if row["cause"] == "failback"]
    assert sorted(row["extension"] for row in home) == annex.extensions
    times = sorted(datetime.fromisoformat(row["at"]).timestamp() for row in home)
    for start, end in itertools.pairwise(times[:: 2 * CAP]):
        assert end - start > 0.9, "more than twice the cap within a second"
