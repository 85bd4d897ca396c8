"""Importing a fleet: everything or nothing, made or updated, announced and not repeated."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from fleet import services
from fleet.models import Handset, Line, Server, ServerGroup, Site
from fleet.signals import fleet_changed
from registrations.models import Registration
from tests.support.databases import database, migrated_postgres

__all__ = ["database", "migrated_postgres"]

pytestmark = pytest.mark.django_db

FLEET = """\
sites: [{name: main, time_zone: America/Denver}]
groups:
  - name: ward
    mode: failover
    servers: [{address: 127.0.0.2}, {address: 127.0.0.3, name: standby}]
    policy: {expires: 20, expires_overlap: 5, re_register_on: true}
handsets:
  - {mac: 00907a000001, extension: "4101", domain: pbx.example, auth_password: pw-4101,
     group: ward, site: main, supervision: register}
"""
TABLE = """\
mac,line,name,extension,domain,auth_user,auth_password,group,site,model,supervision,tags
00907a000002,1,Nurse 2,4102,pbx.example,4102,pw-4102,ward,main,8440,register,icu;night
00907a000002,2,,4202,pbx.example,4202,pw-4202,,,,off,
"""


@pytest.fixture
def announced() -> Iterator[list[list[int]]]:
    heard: list[list[int]] = []

    def listen(line_ids: list[int], **_: Any) -> None:
        heard.append(line_ids)

    fleet_changed.connect(listen)
    yield heard
    fleet_changed.disconnect(listen)


def put(*texts: str, dry_run: bool = False) -> services.Imported:
    files = [
        (f"{n}.{'csv' if text.startswith('mac') else 'yaml'}", text.encode())
        for n, text in enumerate(texts, 1)
    ]
    return services.import_files(files, by="test", dry_run=dry_run)


def refused(*texts: str) -> list[tuple[str, int | None, str]]:
    before = [list(model.objects.values()) for model in (Site, ServerGroup, Server, Handset, Line)]
    with pytest.raises(services.ImportRefused) as caught:
        put(*texts)
    after = [list(model.objects.values()) for model in (Site, ServerGroup, Server, Handset, Line)]
    assert before == after
    return [(fault.file, fault.row, fault.field) for fault in caught.value.faults]


def test_what_a_set_of_rows_writes_is_what_a_row_alone_does(database: str) -> None:
    """Every kind of column, made and changed; what no file names stays."""
    put(FLEET, TABLE.replace("Nurse 2", 'Nür"se \\ %s \U0001f319'))
    here = Handset.objects.get(mac="00907a000002")
    Line.objects.filter(extension="4101").update(waits=True, waits_for="observe")
    before = {line.extension: line for line in Line.objects.all()}
    assert before["4102"].auth_password == "pw-4102" and before["4102"].created_at
    assert (before["4102"].waits, before["4102"].waits_for) == (False, "")
    alone = Handset.objects.create(
        **{"mac": "00907a0000ff", "name": here.name, "model": here.model, "tags": here.tags},
        **{"group": here.group, "site": here.site},
    )
    for text in (here.name, "icu", "night", "8440"):
        found = Handset.objects.filter(search_text__icontains=text)
        assert set(found) == {here, alone}, text
        assert text != "icu" or set(Handset.objects.filter(tags__holds=text)) == {here, alone}
    again = TABLE.replace("4102,pw-4102", "4102,new").replace("4101,pw", "4101,other")
    put(FLEET.replace("pw-4101", "other"), again)
    after = {line.extension: line for line in Line.objects.all()}
    assert [after[n].auth_password for n in ("4101", "4102", "4202")] == ["other", "new", "pw-4202"]
    for extension, line in after.items():
        was = before[extension]
        assert (line.pk, line.created_at) == (was.pk, was.created_at)
        assert (line.waits, line.waits_for) == (was.waits, was.waits_for)
    assert Handset.objects.get(mac="00907a000002").pk == here.pk


def test_a_fleet_is_made_of_a_fleet_file_and_a_table_at_once(announced: list[list[int]]) -> None:
    report = put(FLEET, TABLE)
    assert report.created == {"sites": 1, "groups": 1, "handsets": 2, "lines": 3}
    group = ServerGroup.objects.get()
    assert (group.expires, group.re_register_on, group.retry_max_count) == (20, True, 3)
    assert [(s.priority, s.address, s.port, s.name) for s in group.servers.all()] == [
        (1, "127.0.0.2", 5060, ""),
        (2, "127.0.0.3", 5060, "standby"),
    ]
    second = Handset.objects.get(mac="00907a000002")
    assert (second.name, second.tags, second.site.name) == ("Nurse 2", ["icu", "night"], "main")
    first = Line.objects.get(extension="4101")
    assert (first.auth_user, first.auth_password) == ("4101", "pw-4101")
    assert announced == [sorted(Line.objects.values_list("pk", flat=True))]
    assert Registration.objects.count() == 3


def test_the_same_import_again_changes_nothing_and_wakes_nobody(announced: list[list[int]]) -> None:
    put(FLEET, TABLE)
    announced.clear()
    report = put(FLEET, TABLE)
    assert not report.created
    assert not report.changed
    assert report.unchanged == {"sites": 1, "groups": 1, "handsets": 2, "lines": 3}
    assert announced == []


def test_what_a_file_leaves_out_stays_as_it_is(announced: list[list[int]]) -> None:
    put(FLEET, TABLE)
    announced.clear()
    report = put("mac,extension\n00907a000002,4999\n")
    assert report.changed == {"lines": 1}
    line = Line.objects.get(handset__mac="00907a000002", number=1)
    assert (line.extension, line.auth_password, line.supervision) == ("4999", "pw-4102", "register")
    assert line.handset.name == "Nurse 2"
    assert announced == [[line.pk]]


def test_a_new_password_reaches_the_line_and_only_that_line(announced: list[list[int]]) -> None:
    put(FLEET, TABLE)
    announced.clear()
    put("mac,auth_password\n00907a000001,new\n")
    assert Line.objects.get(extension="4101").auth_password == "new"
    assert Line.objects.get(extension="4102").auth_password == "pw-4102"
    assert len(announced[0]) == 1


def test_a_changed_policy_is_announced_for_every_line_of_the_group(
    announced: list[list[int]],
) -> None:
    put(FLEET, TABLE)
    announced.clear()
    report = put("groups: [{name: ward, policy: {expires: 30}}]")
    assert report.changed == {"groups": 1}
    assert (ServerGroup.objects.get().expires, ServerGroup.objects.get().expires_overlap) == (30, 5)
    assert announced == [sorted(Line.objects.values_list("pk", flat=True))]


def test_servers_that_change_places_keep_their_rows() -> None:
    put(FLEET)
    before = dict(Server.objects.values_list("address", "pk"))
    put("groups: [{name: ward, servers: [{address: 127.0.0.3}, {address: 127.0.0.2}]}]")
    after = list(Server.objects.order_by("priority").values_list("priority", "address", "pk"))
    assert after == [(1, "127.0.0.3", before["127.0.0.3"]), (2, "127.0.0.2", before["127.0.0.2"])]


def test_a_list_of_servers_replaces_those_it_no_longer_names() -> None:
    put(FLEET)
    put("groups: [{name: ward, servers: [{address: 127.0.0.9}, {address: 127.0.0.2}]}]")
    assert list(Server.objects.order_by("priority").values_list("address", flat=True)) == [
        "127.0.0.9",
        "127.0.0.2",
    ]


def test_a_handset_that_changes_its_group_is_announced_with_all_its_lines(
    announced: list[list[int]],
) -> None:
    put(FLEET, TABLE)
    announced.clear()
    put(
        "groups: [{name: other, mode: fallback, servers: [{address: 127.0.0.4}]}]",
        "mac,group\n00907a000002,other\n",
    )
    lines = Line.objects.filter(handset__mac="00907a000002").order_by("pk")
    assert announced == [list(lines.values_list("pk", flat=True))]


def test_the_groups_supervision_is_for_handsets_that_do_not_name_theirs() -> None:
    fleet = FLEET.replace("mode: failover", "mode: failover\n    supervision: observe")
    put(fleet, TABLE.replace("register", ""))
    supervision = dict(Line.objects.values_list("extension", "supervision"))
    assert supervision == {"4101": "register", "4102": "observe", "4202": "off"}


def test_supervision_is_never_assumed() -> None:
    assert refused(FLEET.replace(", supervision: register", "")) == [("1.yaml", 8, "supervision")]


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(announced: list[list[int]]) -> None:
    report = put(FLEET, TABLE, dry_run=True)
    assert report.created == {"sites": 1, "groups": 1, "handsets": 2, "lines": 3}
    assert not Site.objects.exists()
    assert not Line.objects.exists()
    assert announced == []


def test_every_fault_of_every_file_is_told_and_nothing_changes() -> None:
    put(FLEET)
    found = refused(
        FLEET.replace("expires: 20", "expires: 2").replace("127.0.0.3", "-pbx-"),
        "mac,group,site,supervision,extension,domain\n"
        "00907a000001,,,,4101,pbx.example\n"
        "00907a000005,gone,nowhere,register,4105,pbx.example\n"
        "00907a000005,,,register,4105,pbx.example\n"
        "zz,ward,main,register,4106,pbx.example\n"
        "00907a000006,,,,,\n",
        "",
    )
    assert found == [
        ("1.yaml", 5, "groups[1].servers[2].address"),
        ("1.yaml", 6, "groups[1].policy.expires"),
        ("2.csv", 2, "mac"),
        ("2.csv", 3, "group"),
        ("2.csv", 3, "site"),
        ("2.csv", 4, "mac"),
        ("2.csv", 5, "mac"),
        ("2.csv", 6, "domain"),
        ("2.csv", 6, "extension"),
        ("2.csv", 6, "group"),
        ("2.csv", 6, "site"),
        ("2.csv", 6, "supervision"),
        ("3.yaml", None, ""),
    ]


def test_a_value_that_cannot_be_read_is_not_also_told_to_be_missing() -> None:
    found = refused(FLEET.replace('"4101"', '"41 01"').replace("register}", "never}"))
    assert found == [
        ("1.yaml", 8, "handsets[1].extension"),
        ("1.yaml", 9, "handsets[1].supervision"),
    ]


def test_a_new_group_needs_its_mode_and_servers() -> None:
    found = refused("groups: [{name: ward}]")
    assert found == [("1.yaml", 1, "mode"), ("1.yaml", 1, "servers")]


def test_re_register_on_is_refused_for_a_fallback_group_also_when_it_was_one_before() -> None:
    put(FLEET)
    assert refused("groups: [{name: ward, mode: fallback}]") == [
        ("1.yaml", 1, "policy.re_register_on")
    ]


def test_an_unknown_time_zone_is_a_fault() -> None:
    assert refused("sites: [{name: main, time_zone: Mars/Base}]") == [("1.yaml", 1, "time_zone")]


def test_one_user_of_one_address_with_two_passwords_is_a_fault_that_shows_neither() -> None:
    put(FLEET)
    rows = "00907a00000{n},4109,pbx.example,secret-{n},ward,main,register\n"
    table = "mac,extension,domain,auth_password,group,site,supervision\n"
    table += rows.format(n=7) + rows.format(n=8)
    with pytest.raises(services.ImportRefused) as caught:
        put(table)
    [fault] = caught.value.faults
    assert (fault.row, fault.field) == (3, "auth_password")
    assert "secret" not in str(caught.value)


def test_two_rows_that_disagree_about_one_handset_are_a_fault() -> None:
    put(FLEET)
    table = "mac,line,name,extension,domain,group,site,supervision\n"
    table += "00907a000009,1,Anna,4109,pbx.example,ward,main,off\n"
    table += "00907a000009,2,Bert,4110,pbx.example,ward,main,off\n"
    assert refused(table) == [("1.csv", 3, "name")]


def test_the_command_lists_every_fault_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("mac,supervision\nzz,never\n")
    missing, empty = tmp_path / "missing.yaml", tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CommandError, match=r"Nothing was imported: \d+ faults\.") as failed:
        call_command("import_fleet", str(bad), str(missing), str(empty))
    assert failed.value.returncode == 1
    said = capsys.readouterr().err
    assert f"{bad}, row 2, mac: A MAC has twelve hexadecimal digits, not 'zz'." in said
    assert f"{bad}, row 2, supervision: The supervision must be" in said
    assert f"{missing}: The file cannot be read: No such file or directory." in said
    assert f"{empty}: The folder has no file to import." in said
    assert not Handset.objects.exists()


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    call_command("import_fleet", str(tmp_path / "fleet.yaml"), "--dry-run")
    assert "Dry run: nothing was changed." in capsys.readouterr().out
    call_command("import_fleet", str(tmp_path / "fleet.yaml"))
    assert "handsets: 1 created, 0 changed, 0 unchanged" in capsys.readouterr().out
    assert Handset.objects.count() == 1


def test_a_table_longer_than_one_batch_is_imported_whole(announced: list[list[int]]) -> None:
    put(FLEET)
    announced.clear()
    head = "mac,extension,domain,group,site,supervision\n"
    count = 1200
    put(
        head
        + "".join(f"00907b{n:06x},{5000 + n},pbx.example,ward,main,off\n" for n in range(count))
    )
    assert Line.objects.count() == count + 1
    assert sum(map(len, announced)) == count


def test_of_very_many_faults_the_first_are_told_and_how_many_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services, "MAX_FAULTS", 3)
    told = refused("mac\n" + "wrong\n" * 50)
    assert len(told) == 4
    with pytest.raises(services.ImportRefused, match=r"There are \d+ more faults"):
        put("mac\n" + "wrong\n" * 50)
