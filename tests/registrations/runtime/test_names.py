"""Servers configured by name, through the whole runtime: a real DNS server, real sockets."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fleet.models import DnsRecord, Server, ServerGroup
from registrations import store
from registrations.models import Registration, ServerHealth, Transition
from registrations.runtime.engine import Name
from registrations.runtime.loop import LoopThread
from tests.support.claims import at, make_due, make_lines
from tests.support.dns import dns
from tests.support.peer import Peer, peer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("database")


def by_name(*addresses: str, n: int = 1, **policy: Any) -> list[Registration]:
    """Lines of a group whose servers are these, ports left to DNS."""
    policy = {"re_register_on": True, "max_registrations_per_second": 0} | policy
    group = ServerGroup.objects.create(name="ward", **policy)
    for priority, address in enumerate(addresses, start=1):
        host, _, port = address.partition(":")
        Server.objects.create(
            group=group,
            priority=priority,
            address=host,
            port=int(port or 0),
            transport="udp" if port else "dns_naptr",
        )
    return make_due(make_lines(n, group))


def srv(registrar: Peer, priority: int, host: str, name: str = "pbx.test") -> tuple[str, str]:
    address, port = registrar.address
    return (
        f"srv-host=_sip._udp.{name},{host},{port},{priority},0",
        f"host-record={host},{address}",
    )


@contextmanager
def runtime() -> Iterator[LoopThread]:
    thread = LoopThread(lambda site_id: None, Name("worker@test", ""))
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()


def states() -> list[str]:
    return sorted(Registration.objects.values_list("state", flat=True))


def test_a_fleet_finds_its_servers_by_srv_and_goes_on_to_the_next_record(settings: Any) -> None:
    with peer() as gone:
        pass
    with peer("127.0.0.65") as second, dns(*srv(gone, 1, "a.test"), *srv(second, 2, "b.test")) as d:
        settings.DNS_SERVERS = [d.place]
        with runtime() as worker:
            rows = by_name("pbx.test", n=50)
            worker.kick(rows[0].site_id)
            wait_until(lambda: states() == ["secondary"] * 50, 30, "on the second", seen=states)
        assert d.asked("SRV", "_sip._udp.pbx.test") == 1, "one question for the whole fleet"
    assert len({request.headers["to"][0] for _, request in second.registers()}) == 50


def test_an_entry_whose_name_does_not_resolve_is_passed_over(settings: Any) -> None:
    with peer() as registrar, dns() as d:
        settings.DNS_SERVERS = [d.place]
        with runtime() as worker:
            rows = by_name("gone.test", ":".join(map(str, registrar.address)))
            worker.kick(rows[0].site_id)
            wait_until(
                lambda: Registration.objects.get().state not in ("registering",),
                30,
                "registered",
                seen=states,
            )
    row = Registration.objects.get()
    assert row.server is not None
    assert row.server.priority == 2


def test_where_no_name_resolves_the_line_says_why_and_comes_back(settings: Any) -> None:
    with dns() as d:
        settings.DNS_SERVERS = [d.place]
        with runtime() as worker:
            rows = by_name("gone.test")
            worker.kick(rows[0].site_id)
            wait_until(lambda: states() == ["unregistered"], 30, "unregistered", seen=states)
    row = Registration.objects.get()
    assert "no name gone.test" in row.reason
    assert row.due_at is not None
    assert 5 < row.due_at.timestamp() - time.time() < 120


def test_the_groups_own_records_carry_a_fleet_through_a_dead_dns(settings: Any) -> None:
    with peer() as registrar, dns() as d:
        settings.DNS_SERVERS = [d.place]
        d.freeze()
        with runtime() as worker:
            rows = by_name("pbx.test", n=20)
            host, port = registrar.address
            common = {"group": rows[0].group, "ttl": 300}
            DnsRecord.objects.create(
                kind="SRV", name="_sip._udp.pbx.test", port=port, target="own.test", **common
            )
            DnsRecord.objects.create(kind="A", name="own.test", address=host, **common)
            worker.kick(rows[0].site_id)
            wait_until(lambda: states() == ["primary"] * 20, 30, "all on primary", seen=states)
        d.thaw()
    assert Transition.objects.filter(cause="first").count() == 20


def test_a_worker_that_stops_while_dns_is_silent_gives_its_rows_back(settings: Any) -> None:
    with dns() as d:
        settings.DNS_SERVERS = [d.place]
        d.freeze()
        with runtime() as worker:
            rows = by_name("pbx.test", n=5)
            worker.kick(rows[0].site_id)
            wait_until(
                lambda: Registration.objects.exclude(lease_token=None).count() == 5, 30, "claimed"
            )
            begin = time.monotonic()
            worker.stop()
            assert time.monotonic() - begin < 8
        assert not Registration.objects.exclude(lease_token=None).exists()
        assert Registration.objects.filter(due_at__lte=at(time.time())).count() == 5


def test_a_name_is_silent_only_when_none_of_its_places_answers(settings: Any) -> None:
    def condition() -> str:
        ServerHealth.objects.update(due_at=at(0), lease_token=None)
        worker.kick(site)
        return ServerHealth.objects.get().condition

    with peer() as gone:
        pass
    with peer("127.0.0.65") as second, dns(*srv(gone, 1, "a.test"), *srv(second, 2, "b.test")) as d:
        settings.DNS_SERVERS = [d.place]
        with runtime() as worker:
            site = by_name("pbx.test", n=20)[0].site_id
            store.ensure_health()
            wait_until(lambda: condition() == "up", 30, "up", every=1)
            assert states() == ["secondary"] * 20
            assert condition() == "up"
            second.close()
            wait_until(lambda: condition() == "silent", 30, "silent", every=1)
