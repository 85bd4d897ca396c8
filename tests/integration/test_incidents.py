"""Two real registrars killed, restarted and made to refuse: one incident and one mail for each."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import smtp
from tests.support.fleet import PRIMARY, SECONDARY, WARD_POLICY
from tests.support.hospital import Hospital, hospital
from tests.support.stores import Postgres
from tests.support.waiting import wait_until

HANDSETS = 60
FIRST_MESSAGE_S = 15.0


@dataclass(frozen=True)
class Told:
    """A ward, and the mail that its rule sends."""

    ward: Hospital
    sink: smtp.Sink

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.sink.mails]

    def incidents(self, **query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.ward.product.every("incidents", **query)
        return rows


@pytest.fixture(scope="module")
def told(run_dir: Path, postgres: Postgres) -> Iterator[Told]:
    with (
        smtp.sink() as (sink, port),
        hospital(
            run_dir / "incidents",
            addresses=(PRIMARY, SECONDARY),
            group="ward",
            count=HANDSETS,
            policy={**WARD_POLICY, "fast_failover": True, "fail_back_timeout": 3600},
            database_url=postgres.create("incidents"),
            env={"SMTP_URL": f"smtp://127.0.0.1:{port}", "MAIL_FROM": "rollcall@x.example"},
        ) as ward,
    ):
        to = {"to": ["night@x.example"]}
        channel = ward.product.post(
            "/api/v1/channels/", {"name": "night", "kind": "email", "settings": to}
        )
        # Nobody is told of what this small machine may do to a standby under load.
        rule = {"name": "all", "severity": "critical", "channels": [channel["id"]]}
        ward.product.post("/api/v1/alert-rules/", rule)
        ward.wait_for_state("primary", 90)
        yield Told(ward, sink)


def seconds(since: str, until: str) -> float:
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()


@pytest.mark.timeout(900)
def test_a_killed_registrar_is_one_incident_told_once_and_told_when_it_is_over(
    told: Told,
) -> None:
    told.ward.primary.kill()
    wait_until(told.subjects, 120, "a mail says that it is silent", seen=told.incidents)
    (incident,) = told.incidents(kind="server_silent")
    (delivery,) = told.ward.product.every("deliveries")
    assert seconds(incident["opened_at"], delivery["finished_at"]) <= FIRST_MESSAGE_S
    assert incident["severity"] == "critical" and incident["of_handsets"] == HANDSETS
    told.ward.wait_for_state("secondary", 120)
    told.ward.primary.start()
    wait_until(lambda: len(told.subjects()) > 1, 240, "a mail says that it is over")
    name = f"{incident['server_name']} of ward silent"
    assert told.subjects() == [f"[Rollcall] Critical: {name}", f"[Rollcall] Over: {name}"]
    assert [row["state"] for row in told.incidents(kind="server_silent")] == ["resolved"]
    assert told.incidents(kind="handset") == [], "what followed from it is part of it"


@pytest.mark.timeout(900)
def test_a_registrar_that_refuses_everybody_is_one_incident(told: Told) -> None:
    """The secondary holds them; it refuses at their next renewals."""
    told.sink.mails.clear()
    told.ward.secondary.set_fault(403)
    try:
        wait_until(
            lambda: any("refuses handsets" in subject for subject in told.subjects()),
            180,
            "a mail says that it refuses",
            seen=told.incidents,
        )
    finally:
        told.ward.secondary.set_fault(None)
    sick = told.incidents(kind="server_sick")
    assert len(sick) == 1 and sick[0]["groups"] == ["ward"]
    assert told.incidents(kind="credentials", state="open") == []


@pytest.mark.timeout(900)
def test_a_silent_worker_is_told_although_there_is_no_worker_to_tell_of_it(told: Told) -> None:
    told.sink.mails.clear()
    for worker in told.ward.product.running_workers():
        worker.kill()
    began = time.monotonic()
    try:
        wait_until(
            lambda: any("No worker is heard" in subject for subject in told.subjects()),
            120,
            "a mail says that no worker is heard",
            seen=told.incidents,
        )
    finally:
        told.ward.product.start_worker()
    assert time.monotonic() - began < 60
