"""What DNS decides beside the address: the transport, whose certificate, when to come home."""

from pathlib import Path
from typing import Any

import pytest

from fleet.models import Server
from registrations.models import Registration, Transition
from tests.registrations.runtime.test_engine import runtime
from tests.registrations.runtime.test_names import by_name, srv, states
from tests.support.certificates import Authority
from tests.support.claims import make_due, make_group, make_lines
from tests.support.dns import dns
from tests.support.kamailio import running
from tests.support.peer import accept, peer
from tests.support.processes import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("database")

HOST = "127.0.0.69"
TRUSTED = Authority()


def tls_by_naptr(port: int) -> tuple[str, ...]:
    """`pbx.test` is reached over TLS at a host whose name has nothing to do with it."""
    return (
        "naptr-record=pbx.test,10,5,S,SIPS+D2T,,_sips._tcp.pbx.test",
        f"srv-host=_sips._tcp.pbx.test,node1.elsewhere.test,{port},1,0",
        f"host-record=node1.elsewhere.test,{HOST}",
    )


@pytest.mark.parametrize(
    ("bears", "becomes"), [("pbx.test", "primary"), ("node1.elsewhere.test", "unregistered")]
)
def test_naptr_leads_to_tls_and_the_certificate_must_bear_the_configured_name(
    bears: str, becomes: str, tmp_path: Path, settings: Any
) -> None:
    port = free_port(HOST)
    issued = TRUSTED.issue(bears)
    with (
        running(HOST, free_port(HOST), tmp_path, issued=issued, tls_port=port),
        dns(*tls_by_naptr(port)) as server,
    ):
        settings.DNS_SERVERS = [server.place]
        group = make_group(addresses=(), max_registrations_per_second=0, tls_ca=TRUSTED.certificate)
        Server.objects.create(
            group=group, priority=1, address="pbx.test", port=0, transport="dns_naptr"
        )
        [row] = make_due(make_lines(1, group, domain="rollcall.test"))
        with runtime() as worker:
            worker.kick(row.site_id)
            wait_until(lambda: states() == [becomes], 30, becomes, seen=states)
    reason = Registration.objects.get().reason
    assert becomes == "primary" or "pbx.test" in reason


def test_dns_ttl_brings_a_fleet_home_after_the_records_ttl(settings: Any) -> None:
    with (
        peer(answer=None) as first,
        peer("127.0.0.65") as second,
        dns(*srv(first, 1, "a.test"), *srv(second, 2, "b.test"), ttl=12) as server,
    ):
        settings.DNS_SERVERS = [server.place]
        with runtime() as worker:
            rows = by_name("pbx.test", n=5, fail_back_mode="dns_ttl", retry_timeout=200)

            def there() -> list[str]:
                worker.kick(rows[0].site_id)
                return states()

            wait_until(lambda: there() == ["secondary"] * 5, 30, "on the second", seen=states)
            first.answer = accept
            wait_until(lambda: there() == ["primary"] * 5, 30, "home", seen=states)
    stayed = [
        moved.at - came.at
        for came, moved in zip(
            Transition.objects.filter(to_state="secondary").order_by("registration"),
            Transition.objects.filter(cause="failback").order_by("registration"),
            strict=True,
        )
    ]
    assert all(9 <= each.total_seconds() <= 16 for each in stayed), stayed
