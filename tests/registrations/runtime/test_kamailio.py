"""The whole runtime against a real registrar over TCP, TLS and IPv6."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.models import Line, Server
from registrations import store
from registrations.models import Registration, ServerHealth, Transition
from tests.registrations.runtime.test_engine import runtime
from tests.support.certificates import Authority, Issued
from tests.support.claims import at, make_due, make_group, make_lines
from tests.support.kamailio import Kamailio, running
from tests.support.peer import peer
from tests.support.processes import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("database")

HOST = "127.0.0.67"
TRUSTED = Authority()


def states() -> dict[str, int]:
    found: dict[str, int] = {}
    for state in Registration.objects.values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


def reasons() -> set[str]:
    return set(Registration.objects.values_list("reason", flat=True))


def fleet(n: int, *servers: dict[str, Any], domain: str = "rollcall.test", **group: Any) -> int:
    """Lines of a group with these servers, due; returns their site."""
    made = make_group(addresses=(), max_registrations_per_second=0, **group)
    for priority, facts in enumerate(servers, 1):
        Server.objects.create(group=made, priority=priority, **facts)
    return make_due(make_lines(n, made, domain=domain))[0].site_id


def registered(site: int, expected: dict[str, int]) -> None:
    with runtime() as worker:
        worker.kick(site)
        wait_until(lambda: states() == expected, 30, str(expected), seen=reasons)


@pytest.fixture
def registrar(tmp_path: Path) -> Iterator[Kamailio]:
    with running(HOST, free_port(HOST), tmp_path) as one:
        yield one


def tcp(registrar: Kamailio, transport: str = "tcp") -> dict[str, Any]:
    return {
        "address": registrar.address.strip("[]"),
        "port": registrar.port,
        "transport": transport,
    }


def sip_connections(registrar: Kamailio, port: int = 0) -> int:
    """Connections to its SIP port; the question itself is one more on the plain port."""
    rows = registrar.rpc("core.tcp_list")
    return sum(1 for row in rows if row["dst_port"] == (port or registrar.port))


def test_a_fleet_registers_over_one_tcp_connection(registrar: Kamailio) -> None:
    site = fleet(300, tcp(registrar))
    with runtime() as worker:
        worker.kick(site)
        wait_until(lambda: states() == {"primary": 300}, 30, "all on primary", seen=reasons)
        assert sip_connections(registrar) == 2
    contacts = [c for of_one in registrar.locations().values() for c in of_one]
    assert len(contacts) == 300
    assert all(contact.uri.endswith(";transport=tcp") for contact in contacts)


def test_over_tcp_a_killed_server_is_left_and_a_restarted_one_found(
    registrar: Kamailio, tmp_path: Path
) -> None:
    with (
        running("127.0.0.68", free_port("127.0.0.68"), tmp_path) as second,
        runtime() as worker,
    ):
        site = fleet(20, tcp(registrar), tcp(second))
        worker.kick(site)
        wait_until(lambda: states() == {"primary": 20}, 30, "on primary", seen=reasons)
        registrar.kill()
        force_renewal()
        worker.kick(site)
        wait_until(lambda: states() == {"secondary": 20}, 30, "on secondary", seen=reasons)
        registrar.start()
        Registration.objects.update(due_at=at(time.time() - 1), wish="failback", wish_version=1)
        worker.kick(site)
        wait_until(lambda: states() == {"primary": 20}, 30, "back", seen=reasons)
    assert any("Connection refused" in reason for reason in moves())


def moves() -> set[str]:
    return set(Transition.objects.values_list("reason", flat=True))


def force_renewal() -> None:
    """Let every binding be due for renewal now, as if its time had passed."""
    rows = list(Registration.objects.filter(lease_token=None))
    for row in rows:
        for course in row.snapshot.get("courses", {}).values():
            course["binding"]["renew_at"] = 0.0
        row.due_at = at(time.time() - 1)
    Registration.objects.bulk_update(rows, ["snapshot", "due_at"])


# -- TLS -----------------------------------------------------------------------------------------


def tls_server(registrar: Kamailio, **facts: str) -> dict[str, Any]:
    return {
        "address": registrar.address.strip("[]"),
        "port": registrar.tls_port,
        "transport": "tls",
        **facts,
    }


def with_certificate(issued: Issued, home: Path) -> Any:
    return running(HOST, free_port(HOST), home, issued=issued, tls_port=free_port(HOST))


def test_a_fleet_registers_over_one_tls_connection(tmp_path: Path) -> None:
    with with_certificate(TRUSTED.issue("pbx.example"), tmp_path) as registrar:
        server = tls_server(registrar, tls_name="pbx.example")
        site = fleet(100, server, tls_ca=TRUSTED.certificate)
        with runtime() as worker:
            worker.kick(site)
            wait_until(lambda: states() == {"primary": 100}, 30, "all on primary", seen=reasons)
            assert sip_connections(registrar, registrar.tls_port) == 1
        contacts = [c for of_one in registrar.locations().values() for c in of_one]
        assert all(contact.uri.endswith(";transport=tls") for contact in contacts)


@pytest.mark.parametrize(
    ("issued", "why"),
    [
        (TRUSTED.issue("other.example"), "its certificate is for other.example, not for pbx"),
        (TRUSTED.issue("pbx.example", days=(-9, -2)), "its certificate has expired"),
        (Authority("Else").issue("pbx.example"), "from an authority that is not known here"),
    ],
)
def test_a_server_that_does_not_prove_itself_is_left_and_the_reason_said(
    issued: Issued, why: str, tmp_path: Path
) -> None:
    with (
        with_certificate(issued, tmp_path) as registrar,
        running("127.0.0.68", free_port("127.0.0.68"), tmp_path) as second,
    ):
        proving = tls_server(registrar, tls_name="pbx.example")
        site = fleet(5, proving, tcp(second, "udp"), tls_ca=TRUSTED.certificate)
        registered(site, {"secondary": 5})
        assert registrar.locations() == {}
    assert all(why in reason for reason in moves())


def test_a_pinned_certificate_is_taken_as_it_is(tmp_path: Path) -> None:
    issued = Authority().issue("whoever.example", days=(-9, -2), by_itself=True)
    with with_certificate(issued, tmp_path) as registrar:
        site = fleet(5, tls_server(registrar), tls_certificate=issued.certificate)
        registered(site, {"primary": 5})


# -- TCP preferred, long requests, IPv6 ----------------------------------------------------------


def test_tcp_preferred_takes_tcp_where_there_is_tcp(registrar: Kamailio) -> None:
    site = fleet(5, tcp(registrar, "tcp_preferred"))
    with runtime() as worker:
        worker.kick(site)
        wait_until(lambda: states() == {"primary": 5}, 30, "on primary", seen=reasons)
        assert sip_connections(registrar) == 2


def test_tcp_preferred_asks_the_same_server_over_udp_where_tcp_is_refused() -> None:
    with peer() as udp_only:
        host, port = udp_only.address
        site = fleet(5, {"address": host, "port": port, "transport": "tcp_preferred"})
        registered(site, {"primary": 5})
        assert len(udp_only.registers()) >= 5


def test_a_probe_too_goes_over_udp_where_preferred_tcp_is_refused() -> None:
    with peer() as udp_only, runtime() as worker:
        host, port = udp_only.address
        site = fleet(1, {"address": host, "port": port, "transport": "tcp_preferred"})
        store.ensure_health()

        def condition() -> str:
            worker.kick(site)
            return ServerHealth.objects.get().condition

        wait_until(lambda: condition() == "up", 30, "up")
        assert ServerHealth.objects.get().condition == "up"


LONG_USER, LONG_DOMAIN = "u" * 64, ".".join(["ward" * 10] * 3)
"""Each stands four times in a REGISTER with credentials; Kamailio takes no longer ones."""


def test_r21_a_long_register_goes_over_tcp(registrar: Kamailio) -> None:
    site = fleet(1, tcp(registrar, "udp"), domain=LONG_DOMAIN)
    password = f"pw-{LONG_USER}"
    Line.objects.update(extension=LONG_USER, auth_user=LONG_USER, auth_password=password)
    with runtime() as worker:
        worker.kick(site)
        wait_until(lambda: states() == {"primary": 1}, 30, "on primary", seen=reasons)
        assert sip_connections(registrar) == 2
    contacts = [c for of_one in registrar.locations().values() for c in of_one]
    assert not any("transport" in contact.uri for contact in contacts)


def test_r21_where_tcp_is_refused_it_goes_over_udp() -> None:
    with peer() as udp_only:
        host, port = udp_only.address
        longer = ".".join(["ward" * 15] * 4)
        site = fleet(3, {"address": host, "port": port}, domain=longer)
        registered(site, {"primary": 3})


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_ipv6(transport: str, tmp_path: Path) -> None:
    issued = TRUSTED.issue("::1")
    port, tls_port = free_port("127.0.0.1"), free_port("127.0.0.1")
    with running("[::1]", port, tmp_path, issued=issued, tls_port=tls_port) as registrar:
        server = tls_server(registrar) if transport == "tls" else tcp(registrar, transport)
        site = fleet(5, server, tls_ca=TRUSTED.certificate)
        registered(site, {"primary": 5})
        contacts = [c for of_one in registrar.locations().values() for c in of_one]
        assert len(contacts) == 5
        assert all("@[::1]:" in contact.uri for contact in contacts)
