"""The fleet as files: what is exported, imported elsewhere and exported again is the same."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from fleet import exporting, services
from fleet.formats import spreadsheet, values
from fleet.models import Handset, ServerGroup, Site
from tests.support.policies import policies

FLEET = b"""\
sites: [{name: main, time_zone: America/Denver}, {name: north, has_own_workers: true}]
groups:
  - name: Ward
    mode: failover
    servers: [{address: pbx.example, transport: DNSnaptr}, {address: 192.0.2.11, name: B}]
    policy: {expires: 600, fail_back_mode: duration, fail_back_timeout: 120, re_register_on: true}
    dns_cache: [{type: A, name: pbx.example, address: 192.0.2.10}]
  - name: "Clinic: =1+1"
    mode: fallback
    servers:
      - {address: 192.0.2.20, transport: TLS, tls_name: pbx.example}
      - {address: 192.0.2.21, register: false, lost_features: [voicemail, presence]}
handsets:
  - {mac: 00907a000001, name: "Nurse, \\"4\\"", extension: "+494101", domain: pbx.example,
     auth_password: hush, group: Ward, site: main, model: "8440", supervision: "off",
     tags: [icu, night]}
  - {mac: 00907a000001, line: 2, extension: "0042", domain: b.example, auth_user: "'=x",
     supervision: observe}
  - {mac: 00907a000002, extension: "4102", domain: b.example, group: "Clinic: =1+1", site: north,
     supervision: "off"}
"""


def put(name: str, data: bytes) -> services.Imported:
    return services.import_files([(name, data)], by="test")


def written(ending: str) -> bytes:
    return exporting.FORMATS[ending][1](exporting.rows())


def emptied() -> None:
    Handset.objects.all().delete()
    ServerGroup.objects.all().delete()
    Site.objects.all().delete()


@pytest.mark.django_db
@pytest.mark.parametrize("ending", ["yaml", "xlsx"])
def test_a_fleet_comes_back_the_same_from_an_empty_rollcall(ending: str) -> None:
    put("fleet.yaml", FLEET)
    before = {each: written(each) for each in exporting.FORMATS}
    emptied()
    put(f"fleet.{ending}", before[ending])
    assert {each: written(each) for each in exporting.FORMATS} == before


@pytest.mark.django_db
def test_a_table_of_handsets_comes_back_the_same_where_its_groups_are() -> None:
    put("fleet.yaml", FLEET)
    before = written("csv")
    Handset.objects.all().delete()
    put("h.csv", before)
    assert written("csv") == before


@pytest.mark.django_db
@pytest.mark.parametrize("ending", list(exporting.FORMATS))
def test_what_is_exported_changes_nothing_where_it_came_from(ending: str) -> None:
    put("fleet.yaml", FLEET)
    report = put(f"fleet.{ending}", written(ending))
    assert (report.created, report.changed) == ({}, {})
    assert Handset.objects.get(mac="00907a000001").lines.get(number=1).auth_password == "hush"


@pytest.mark.django_db
def test_no_password_is_exported_and_no_cell_is_a_formula() -> None:
    put("fleet.yaml", FLEET)
    assert not any(b"hush" in written(ending) for ending in ("yaml", "csv"))
    assert b",'+494101," in written("csv")
    assert b",''=x," in written("csv")


@pytest.mark.django_db
def test_the_command_writes_by_the_files_ending(tmp_path: Path) -> None:
    put("fleet.yaml", FLEET)
    call_command("export_fleet", "-o", str(tmp_path / "fleet.yaml"))
    assert (tmp_path / "fleet.yaml").read_bytes() == written("yaml")
    with pytest.raises(CommandError, match="must end in"):
        call_command("export_fleet", "-o", str(tmp_path / "fleet.pdf"))
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_fleet", "-o", str(tmp_path / "nowhere" / "fleet.csv"))


@given(st.text())
def test_an_escaped_cell_is_run_by_nobody_and_means_what_it_meant(text: str) -> None:
    assert spreadsheet.unescaped(spreadsheet.escaped(text)) == text
    assert not spreadsheet.escaped(text).startswith(spreadsheet.FORMULA_STARTS)


TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=1, max_size=30
).filter(lambda text: text == text.strip())
USER = st.from_regex(r"[^\s@<>\"\x00-\x1f\x7f]{1,20}", fullmatch=True).filter(
    lambda user: user == user.strip() and user.isprintable()
)


@st.composite
def handsets(draw: Any) -> list[dict[str, Any]]:
    macs = draw(st.lists(st.integers(1, 2**40), min_size=1, max_size=4, unique=True))
    return [
        {
            "mac": f"{mac:012x}",
            "name": draw(TEXT),
            "model": draw(TEXT | st.just(""))[:40],
            "tags": list(values.words([t.replace(";", "") for t in draw(st.lists(TEXT))])),
            "extension": draw(USER),
            "auth_user": draw(TEXT),
        }
        for mac in macs
    ]


@st.composite
def groups(draw: Any) -> list[dict[str, Any]]:
    """Two groups with servers and any policy."""
    return [
        {
            "mode": mode,
            "policy": draw(policies(mode)),
            "hosts": draw(
                st.lists(st.integers(1, 254), min_size=1, max_size=values.MAX_SERVERS, unique=True)
            ),
            "lost": list(values.words([t.replace(";", "") for t in draw(st.lists(TEXT))])),
        }
        for mode in ("failover", "fallback")
    ]


class RoundTrip(TestCase):
    """Whatever people call things, and however their handsets are to behave."""

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(handsets(), groups(), st.sampled_from(list(exporting.FORMATS)))
    def test_any_fleet_comes_back_the_same(
        self, given: list[dict[str, Any]], of_groups: list[dict[str, Any]], ending: str
    ) -> None:
        site = Site.objects.create(name="main", time_zone="America/Denver")
        made = [_group(each) for each in of_groups]
        for number, each in enumerate(given):
            own = {name: each[name] for name in ("mac", "name", "model", "tags")}
            handset = Handset.objects.create(**own, group=made[number % 2], site=site)
            handset.lines.create(
                extension=each["extension"],
                domain="a.example",
                auth_user=each["auth_user"],
                supervision="off",
            )
        before = {each: written(each) for each in exporting.FORMATS}
        if ending == "csv":
            # A table of handsets names groups and sites, and has none of their own facts.
            Handset.objects.all().delete()
        else:
            emptied()
        put(f"fleet.{ending}", before[ending])
        assert {each: written(each) for each in exporting.FORMATS} == before
        emptied()


def _group(given: dict[str, Any]) -> ServerGroup:
    group = ServerGroup.objects.create(
        name=f"A {given['mode']} group", mode=given["mode"], **given["policy"]
    )
    for priority, host in enumerate(given["hosts"], 1):
        group.servers.create(
            priority=priority,
            address=f"192.0.2.{host}",
            register=priority == 1 or host % 3 > 0,
            lost_features=given["lost"] if priority > 1 else [],
        )
    return group
