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

    def server_id(self, place: str) -> str:
        servers = self.ward.product.every("servers")
        return next(str(s["id"]) for s in servers if f"{s['address']}:{s['port']}" == place)

    def await_mail(self, words: str, deadline: float) -> None:
        wait_until(
            lambda: any(words in subject for subject in self.subjects()),
            deadline,
            f"a mail says {words!r}",
            seen=lambda: (self.subjects(), self.incidents()),
        )


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
        kinds = ["server_silent", "server_sick", "worker_silent"]
        rule = {"name": "all", "kinds": kinds, "channels": [channel["id"]]}
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
    place = f"{PRIMARY}:{told.ward.primary.port}"
    told.await_mail(f"{place} of ward silent", 120)
    (incident,) = told.incidents(kind="server_silent", server=told.server_id(place))
    assert incident["of_handsets"] == HANDSETS
    mine = {"incident": incident["id"]}
    (delivery,) = told.ward.product.every("deliveries", **mine)
    assert seconds(incident["opened_at"], delivery["created_at"]) <= FIRST_MESSAGE_S
    told.ward.wait_for_state("secondary", 120)
    told.ward.primary.start()
    told.await_mail("Over after", 240)
    assert [row["what"] for row in told.ward.product.every("deliveries", **mine)] == [
        "resolved",
        "opened",
    ]
    assert told.incidents(kind="handset") == [], "what followed from it is part of it"


@pytest.mark.timeout(900)
def test_a_registrar_that_refuses_everybody_is_one_incident(told: Told) -> None:
    """The secondary holds them; it refuses at their next renewals."""
    told.sink.mails.clear()
    told.ward.secondary.set_fault(403)
    try:
        told.await_mail("refusing handsets", 180)
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
        told.await_mail("No worker heard", 120)
    finally:
        told.ward.product.start_worker()
    assert time.monotonic() - began < 60
