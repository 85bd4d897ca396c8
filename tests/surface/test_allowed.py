"""No way of naming a server leads into the machine itself: not by hand, by file or by DNS."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from fleet.config import env
from fleet.formats.networks import AllowRule
from fleet.models import DnsRecord, Server, ServerGroup
from registrations.models import Registration
from registrations.runtime.engine import Name
from registrations.runtime.loop import LoopThread
from tests.support.claims import make_due, make_lines
from tests.support.peer import peer
from tests.support.rows import make_group
from tests.support.waiting import wait_until

INSIDE = "127.0.0.1"
SAID = "127.0.0.1 is a loopback address"


@pytest.fixture
def outside(settings: Any) -> None:
    """An installation that others reach: it may not ask itself."""
    settings.ALLOWED_SERVERS = AllowRule()


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("admin"))
    return client


@pytest.mark.django_db
@pytest.mark.usefixtures("outside")
def test_no_door_takes_such_an_address_and_each_says_why(
    admin: Client, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    group = make_group(servers=0)
    given = {"group": group.pk, "address": INSIDE, "port": 5060, "transport": "udp"}
    by_api = admin.post("/api/v1/servers/", given, content_type="application/json")
    assert by_api.status_code == 400
    assert SAID in by_api.json()["address"][0]
    by_admin = admin.post("/admin/fleet/server/add/", given | {"lost_features": "[]"})
    assert SAID in by_admin.content.decode()
    form = {"name": "clinic", "mode": "failover", "form-TOTAL_FORMS": 4, "form-INITIAL_FORMS": 0}
    row = {
        "form-0-address": INSIDE,
        "form-0-port": 5060,
        "form-0-transport": "udp",
        "form-0-name": "",
    }
    first_run = admin.post(reverse("start_group"), form | row)
    assert first_run.status_code == 400
    assert SAID in first_run.content.decode()
    file = tmp_path / "fleet.yaml"
    file.write_text(
        "groups: [{name: icu, mode: failover, servers: "
        f"[{{address: 192.0.2.1}}, {{address: {INSIDE}}}]}}]"
    )
    with pytest.raises(CommandError, match="Nothing was imported"):
        call_command("import_fleet", str(file))
    assert f"servers[2].address: {SAID}" in capsys.readouterr().err
    assert not Server.objects.exists()
    given["address"] = "192.0.2.1"
    made = admin.post("/api/v1/servers/", given, content_type="application/json")
    assert made.status_code == 201
    change = {"address": INSIDE}
    address = f"/api/v1/servers/{made.json()['id']}/"
    changed = admin.patch(address, change, content_type="application/json")
    assert changed.status_code == 400


@pytest.mark.usefixtures("database", "outside")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_name_that_leads_inside_when_it_is_asked_is_not_followed(
    settings: Any, transport: str
) -> None:
    settings.DNS_SERVERS = []
    with peer() as inside:
        host, port = inside.address
        policy = {"re_register_on": True, "max_registrations_per_second": 0}
        group = ServerGroup.objects.create(name="ward", **policy)
        Server.objects.create(
            group=group, priority=1, address="pbx.test", port=port, transport=transport
        )
        DnsRecord.objects.create(group=group, kind="A", name="pbx.test", address=host)
        [row] = make_due(make_lines(1, group))
        worker = LoopThread(lambda site_id: None, Name("worker@test", ""))
        worker.start()
        try:
            worker.kick(row.site_id)
            wait_until(lambda: Registration.objects.get().state == "unregistered", 30, "given up")
        finally:
            worker.stop()
        assert not inside.heard
    assert "ALLOWED_SERVER_NETWORKS" in Registration.objects.get().reason


@pytest.mark.parametrize(
    ("bind", "is_for_one_machine", "may"),
    [
        *(("127.0.0.1", False, True), ("::1", False, True), ("localhost", False, True)),
        *(("0.0.0.0", True, True), ("0.0.0.0", False, False), ("192.0.2.5", False, False)),
    ],
)
def test_the_machine_itself_may_be_asked_where_nobody_else_reaches_rollcall(
    monkeypatch: pytest.MonkeyPatch, bind: str, is_for_one_machine: bool, may: bool
) -> None:
    monkeypatch.delenv("ALLOWED_SERVER_NETWORKS", raising=False)
    rule = env.allowed_servers(
        "ALLOWED_SERVER_NETWORKS", bind, is_for_one_machine=is_for_one_machine
    )
    assert (rule.refusal(INSIDE) == "") is may


def test_a_wrong_network_stops_the_start_with_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_SERVER_NETWORKS", "10.0.0.0/8, ward")
    with pytest.raises(env.Refusal, match="ALLOWED_SERVER_NETWORKS must be networks.*'ward'"):
        env.allowed_servers("ALLOWED_SERVER_NETWORKS", "0.0.0.0", is_for_one_machine=True)
