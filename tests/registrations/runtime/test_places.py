"""A name that stands for several places: each speaks for itself, and IPv6 is one of them."""

import time
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F

from registrations import store
from registrations.models import Registration, ServerHealth, ServerPause
from registrations.sip import message
from tests.registrations.runtime.test_engine import runtime
from tests.registrations.runtime.test_names import by_name, srv, states
from tests.support.claims import at, make_due, make_lines
from tests.support.dns import dns
from tests.support.kamailio import running
from tests.support.peer import accept, peer
from tests.support.processes import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("database")


def busy(request: message.Request) -> bytes:
    reply = accept(request, "503 Service Unavailable").decode()
    return reply.replace("Content-Length", "Retry-After: 120\r\nContent-Length").encode()


def test_a_pause_of_one_place_leaves_the_other_places_of_its_name_in_service(
    settings: Any,
) -> None:
    with (
        peer(answer=busy) as first,
        peer("127.0.0.65") as second,
        dns(*srv(first, 1, "a.test"), *srv(second, 2, "b.test")) as server,
    ):
        settings.DNS_SERVERS = [server.place]
        with runtime() as worker:
            rows = by_name("pbx.test", n=5)
            worker.kick(rows[0].site_id)
            wait_until(lambda: states() == ["secondary"] * 5, 30, "at the second", seen=states)
            wait_until(ServerPause.objects.exists, 30, "a pause")
            refused = len(first.heard)
            late = make_due(make_lines(5, rows[0].group, rows[0].site, first=50))
            worker.kick(rows[0].site_id)
            wait_until(lambda: states() == ["secondary"] * 10, 30, "these too", seen=states)
    assert late and len(first.heard) == refused, "the one that asked for it is left alone"
    [pause] = ServerPause.objects.all()
    assert (pause.address, pause.port) == first.address


def test_handsets_that_ask_one_dead_place_in_vain_do_not_make_its_name_silent(
    settings: Any,
) -> None:
    with (
        peer(answer=None) as first,
        peer("127.0.0.65") as second,
        dns(*srv(first, 1, "a.test"), *srv(second, 2, "b.test")) as server,
    ):
        settings.DNS_SERVERS = [server.place]
        with runtime() as worker:
            rows = by_name("pbx.test", n=4, retry_timeout=100)
            worker.kick(rows[0].site_id)
            wait_until(lambda: states() == ["secondary"] * 4, 30, "at the second", seen=states)
            # Ordered home, each asks the dead place alone.
            Registration.objects.update(
                wish="failback", wish_version=F("wish_version") + 1, due_at=at(time.time() - 1)
            )
            store.ensure_health()
            ServerHealth.objects.update(due_at=at(time.time() + 900))
            worker.kick(rows[0].site_id)
            done = Registration.objects.filter(wish="")
            wait_until(lambda: done.count() == 4, 30, "all four tried in vain")
    assert states() == ["secondary"] * 4
    health = ServerHealth.objects.get()
    assert (health.condition, health.failures) == (ServerHealth.Condition.UNKNOWN, 0)


def test_a_name_answers_where_only_the_last_of_its_places_does(settings: Any) -> None:
    dead = [f"host-record=d{n}.test,127.0.0.{70 + n}" for n in range(4)]
    there = [f"srv-host=_sip._udp.pbx.test,d{n}.test,5999,{n},0" for n in range(4)]
    with peer("127.0.0.65") as alive, dns(*dead, *there, *srv(alive, 9, "z.test")) as server:
        settings.DNS_SERVERS = [server.place]
        with runtime() as worker:
            rows = by_name("pbx.test")
            Registration.objects.update(due_at=at(time.time() + 900))
            ServerHealth.objects.create(
                server=rows[0].group.servers.get(),
                site=rows[0].site,
                since=at(time.time()),
                due_at=at(time.time() - 1),
            )
            worker.kick(rows[0].site_id)
            known = ServerHealth.objects.filter(lease_token=None, due_at__gt=at(time.time() + 5))
            wait_until(lambda: known.exists(), 30, "the probe is over")
    assert ServerHealth.objects.get().condition == ServerHealth.Condition.UP


def test_a_name_with_nothing_but_ipv6_registers_at_a_real_registrar(
    tmp_path: Path, settings: Any
) -> None:
    """AAAA from a real DNS server to the binding in Kamailio's own table."""
    port = free_port("127.0.0.1")
    with (
        running("[::1]", port, tmp_path) as registrar,
        dns("host-record=pbx.test,::1") as server,
    ):
        settings.DNS_SERVERS = [server.place]
        with runtime() as worker:
            rows = by_name(f"pbx.test:{port}")
            Registration.objects.all().delete()
            [row] = make_due(
                make_lines(1, rows[0].group, rows[0].site, first=9, domain="rollcall.test")
            )
            worker.kick(row.site_id)
            wait_until(lambda: states() == ["primary"], 30, "registered", seen=states)
        [[contact]] = registrar.locations().values()
    assert "@[::1]:" in contact.uri
    [target] = Registration.objects.get().snapshot["courses"]["group"]["targets"]
    assert target[1:3] == ["::1", port]
