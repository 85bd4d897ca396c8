"""Watching a real phone without touching it: baresip, Kamailio, and the whole runtime beside."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleet.models import Line
from fleet.roles import Role
from registrations import notifications, services
from registrations.models import (
    NotificationAddress,
    Registration,
    ServerHealth,
    StandbyProof,
    Transition,
)
from registrations.runtime.loop import LoopThread
from tests.registrations.runtime.test_engine import runtime
from tests.support.baresip import ADDRESS, phone
from tests.support.claims import at, make_group, make_lines
from tests.support.dns import dns
from tests.support.kamailio import REALM, Contact, Kamailio, running
from tests.support.processes import free_port
from tests.support.rows import make_user
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("database")

PRIMARY, SECONDARY = "127.0.0.74", "127.0.0.75"


@contextmanager
def servers(home: Path) -> Iterator[tuple[Kamailio, Kamailio]]:
    with (
        running(PRIMARY, free_port(PRIMARY), home, max_contacts=1) as primary,
        running(SECONDARY, free_port(SECONDARY), home, max_contacts=1) as secondary,
    ):
        yield primary, secondary


def observed(n: int, *registrars: Kamailio, **policy: object) -> list[Line]:
    places = tuple(f"{each.address}:{each.port}" for each in registrars)
    policy = {"max_registrations_per_second": 0, "observe_every": 10} | policy
    group = make_group(addresses=places, **policy)
    lines = make_lines(n, group, supervision="observe", domain=REALM)
    services.sync_registrations([line.pk for line in lines])
    return lines


def until(
    worker: LoopThread, line: Line, condition: Callable[[], bool], what: str, seconds: float = 60
) -> None:
    """Kick an impatient worker until it is so: a look is always due."""
    site = line.handset.site_id

    def look() -> bool:
        mine = StandbyProof.objects.filter(lease_token=None, refusals=0)
        mine.update(due_at=at(time.time() - 1))
        ServerHealth.objects.filter(lease_token=None).update(due_at=at(time.time() - 1))
        worker.kick(site)
        return condition()

    wait_until(look, seconds, what, every=0.5, seen=lambda: (shown(), proofs()))


def shown() -> list[tuple[str, str, str]]:
    rows = Registration.objects.order_by("pk").select_related("server")
    return [(row.state, row.server.address if row.server else "", row.reason) for row in rows]


def proofs() -> list[tuple[str, str]]:
    return list(StandbyProof.objects.order_by("pk").values_list("server__address", "proof"))


def is_at(state: str, server: str) -> Callable[[], bool]:
    return lambda: [found[:2] for found in shown()] == [(state, server)]


def bound(registrar: Kamailio) -> list[Contact]:
    return registrar.locations().get("4000", [])


def test_a_real_phone_is_seen_to_move_when_its_primary_dies_and_is_never_touched(
    tmp_path: Path,
) -> None:
    with servers(tmp_path) as (primary, secondary):
        records = [
            f"srv-host=_sip._tcp.{REALM},one.{REALM},{primary.port},10",
            f"srv-host=_sip._tcp.{REALM},two.{REALM},{secondary.port},20",
            f"address=/one.{REALM}/{PRIMARY}",
            f"address=/two.{REALM}/{SECONDARY}",
        ]
        with dns(*records) as names, phone("4000", names) as handset, runtime() as worker:
            wait_until(lambda: bound(primary), 30, "it registers", seen=handset.tail)
            before = bound(primary)
            [line] = observed(1, primary, secondary)
            until(worker, line, is_at("primary", PRIMARY), "seen on its primary")
            row = Registration.objects.get()
            assert row.due_at is None, "no agent is ever due for it"
            assert row.expires_at is not None and row.reason.endswith(f"lists {before[0].uri}.")
            after = bound(primary)
            assert [(c.uri, c.call_id) for c in after] == [(c.uri, c.call_id) for c in before]
            assert not bound(secondary)
            primary.kill()
            wait_until(lambda: bound(secondary), 60, "it moves", seen=handset.tail)
            moved = bound(secondary)
            until(worker, line, is_at("secondary", SECONDARY), "seen on its secondary")
            assert [(c.uri, c.call_id) for c in bound(secondary)] == [
                (c.uri, c.call_id) for c in moved
            ]
    changes = Transition.objects.order_by("pk").values_list("cause", "from_state", "to_state")
    assert list(changes) == [("seen", "unknown", "primary"), ("failover", "primary", "secondary")]
    last = Transition.objects.order_by("pk").last()
    assert last is not None and last.detect_seconds is not None
    assert "rollcall" not in moved[0].uri


def test_a_phone_that_is_switched_off_is_registered_nowhere_when_its_binding_has_run_out(
    tmp_path: Path,
) -> None:
    with servers(tmp_path) as (primary, secondary), runtime() as worker:
        [line] = observed(1, primary, secondary)
        until(worker, line, is_at("unregistered", ""), "nobody lists it")
        assert not bound(primary) and not bound(secondary), "and nobody was made to"


def test_no_agent_takes_up_an_observed_line_whatever_makes_it_due(tmp_path: Path) -> None:
    with servers(tmp_path) as (primary, secondary), runtime() as worker:
        [line] = observed(1, primary, secondary)
        Registration.objects.update(due_at=at(0), state="primary")
        for _ in range(5):
            worker.kick(line.handset.site_id)
            time.sleep(0.2)
        assert Registration.objects.get().lease_token is None
        assert not bound(primary) and not bound(secondary)


def test_a_line_is_switched_from_watching_to_registering_and_back(tmp_path: Path) -> None:
    with servers(tmp_path) as (primary, secondary), runtime() as worker:
        [line] = observed(1, primary, secondary)
        until(worker, line, is_at("unregistered", ""), "looked at")
        switch(line, "register")
        until(worker, line, is_at("primary", PRIMARY), "an agent registers it")
        switch(line, "observe")
        [(state, _, reason)] = shown()
        assert (state, Registration.objects.get().due_at) == ("disabled", None)
        assert reason == "It is only observed, and waits for the first look."
        until(worker, line, is_at("unregistered", ""), "what the agent left there is no phone's")
        services.sync_registrations([line.pk])
        assert shown()[0][0] == "unregistered", "an edit does not switch it off"


def switch(line: Line, supervision: str) -> None:
    Line.objects.filter(pk=line.pk).update(supervision=supervision)
    services.sync_registrations([line.pk])


def test_a_phone_that_reports_itself_is_looked_at_at_once(tmp_path: Path) -> None:
    with servers(tmp_path) as (primary, secondary), runtime() as worker:
        records = [
            f"srv-host=_sip._tcp.{REALM},one.{REALM},{primary.port},10",
            f"address=/one.{REALM}/{PRIMARY}",
        ]
        [line] = observed(1, primary, secondary, observe_every=3600)
        site = line.handset.site_id

        def seen(state: str, server: str) -> Callable[[], bool]:
            """By a worker that is only told to look for what is due."""

            def look() -> bool:
                worker.kick(site)
                return is_at(state, server)()

            return look

        wait_until(seen("unregistered", ""), 60, "its first look", every=0.5, seen=shown)
        next_looks = StandbyProof.objects.filter(due_at__gt=at(time.time() + 600))
        assert next_looks.count() == 2
        notifications.renew(line.handset, by=make_user("olga", Role.OPERATOR))
        key = NotificationAddress.objects.get().key
        with dns(*records) as names, phone("4000", names) as handset:
            wait_until(lambda: bound(primary), 30, "it registers", seen=handset.tail)
            before = bound(primary)
            body = f"<LineRegistrationEvent><MACAddress>{line.handset.mac}</MACAddress>"
            notifications.receive(key, ADDRESS, f"{body}</LineRegistrationEvent>".encode())
            wait_until(seen("primary", PRIMARY), 60, "looked at", every=0.5, seen=shown)
            after = bound(primary)
            assert [(c.uri, c.call_id) for c in after] == [(c.uri, c.call_id) for c in before]
