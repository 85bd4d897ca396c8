"""Where values came from: kept with an import, shown, told apart from what was changed since."""

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from fleet import import_orders, provenance, services
from fleet.models import Handset, Line, Provenance, ServerGroup
from fleet.roles import Role
from tests.support import trees
from tests.support.rows import make_user

pytestmark = pytest.mark.django_db


def imported(files: trees.Files) -> services.Imported:
    return services.import_files(files, by="ann", site="main")


def tree() -> trees.Files:
    extra = {"tone.dtmf.level": "-15", "httpd.cfg.adminPassword": "hush-hush"}
    return [*trees.spectralink()[:2], ("site.cfg", trees.parameters(trees.SERVERS | extra))]


def origins_of(group: ServerGroup) -> dict[str, provenance.Origin]:
    kept = Provenance.objects.get(group=group)
    return {each.field: each for each in provenance.of_group(group, kept)}


def test_each_value_of_a_group_and_a_handset_knows_its_file_row_and_parameter() -> None:
    imported(tree())
    found = origins_of(ServerGroup.objects.get())
    expires = found["expires"]
    assert (expires.file, expires.parameter) == ("site.cfg", "voIpProt.server.1.expires")
    assert expires.row is not None
    assert found["servers.2.address"].parameter == "voIpProt.server.2.address"
    assert "failover_on_408" not in found
    handset = Handset.objects.get()
    told = provenance.of_handset(handset, Provenance.objects.get(handset=handset))
    assert {each.field: each.parameter for each in told} == {
        "name": "reg.1.displayName",
        "1.extension": "reg.1.address",
        "1.auth_user": "reg.1.auth.userId",
        "1.auth_password": "reg.1.auth.password",
    }
    assert {each.file for each in told} == {f"{trees.WARD}-ext.cfg"}
    assert "pw-4101" not in str(list(Provenance.objects.values()))
    assert not any(each.changed for each in (*told, *found.values()))


def test_what_was_changed_since_says_so_and_comes_back_with_the_next_import() -> None:
    imported(tree())
    ServerGroup.objects.update(expires=700)
    Line.objects.update(extension="4999")
    handset = Handset.objects.get()
    group = ServerGroup.objects.get()
    assert origins_of(group)["expires"].changed
    assert not origins_of(group)["fail_back_mode"].changed
    told = provenance.of_handset(handset, Provenance.objects.get(handset=handset))
    assert [each.field for each in told if each.changed] == ["1.extension"]
    imported(tree())
    assert not any(each.changed for each in origins_of(ServerGroup.objects.get()).values())


def test_unknown_parameters_are_kept_counted_and_shown_without_their_values(
    client: Client,
) -> None:
    job = import_orders.order(tree(), by="ann", site="main")
    import_orders.make(job.pk)
    import_orders.say_go(job, by="ann", partial=False)
    import_orders.make(job.pk)
    client.force_login(make_user(role=Role.CONFIGURER))
    group = ServerGroup.objects.get()
    for address in (f"/import/{job.pk}/", f"/groups/{group.pk}/"):
        page = client.get(address).content.decode()
        assert "2 parameters that say nothing about registration" in page, address
        assert "adminPassword" in page.replace("<wbr>", "")
        assert "hush-hush" not in page
    assert "hush-hush" not in str(list(Provenance.objects.values()))
    for address in (f"/groups/{group.pk}/", f"/handsets/{Handset.objects.get().pk}/"):
        assert "Imported from handset configuration" in client.get(address).content.decode()


def test_the_api_tells_it(client: Client) -> None:
    imported(tree())
    asked = APIClient()
    asked.force_authenticate(make_user(role=Role.VIEWER))
    group, handset = ServerGroup.objects.get(), Handset.objects.get()
    told: Any = asked.get(f"/api/v1/groups/{group.pk}/provenance/").json()
    assert {each["parameter"]: each["count"] for each in told["unknown"]} == {
        "tone.dtmf.level": 1,
        "httpd.cfg.adminPassword": 1,
    }
    fields = [each["field"] for each in told["values"]]
    assert "expires" in fields and "servers.1.address" in fields
    told = asked.get(f"/api/v1/handsets/{handset.pk}/provenance/").json()
    assert len(told["values"]) == 4
    Provenance.objects.all().delete()
    told = asked.get(f"/api/v1/groups/{group.pk}/provenance/").json()
    assert told == {"at": None, "values": [], "unknown": []}


def test_a_group_that_no_handset_configuration_made_has_none() -> None:
    fleet = b"groups: [{name: Ward, mode: failover, servers: [{address: 192.0.2.10}]}]"
    services.import_files([("fleet.yaml", fleet)], by="ann")
    assert not Provenance.objects.exists()
