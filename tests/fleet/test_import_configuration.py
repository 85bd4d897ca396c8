"""Importing handset configuration: whole trees, by whom it is observed, where it stands."""

import io
import zipfile
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from fleet import services
from fleet.models import Handset, Line, ServerGroup, Site
from registrations.models import Registration
from tests.support import trees
from tests.support.trees import WARD, Files, line, parameters

pytestmark = pytest.mark.django_db

FLEET = b"""\
sites: [{name: main}]
groups: [{name: Ward, mode: fallback, servers: [
  {address: pbx.hospital.example, port: 0, transport: DNSnaptr}, {address: 192.0.2.20}]}]
handsets: [{mac: 00907a0a1b2c, extension: "4101", domain: pbx.hospital.example, group: Ward,
  site: main, supervision: register, tags: [icu]}]
"""


def put(files: Files, site: str | None = None) -> services.Imported:
    return services.import_files(files, by="test", site=site)


def refused(files: Files, site: str | None = None) -> list[str]:
    with pytest.raises(services.ImportRefused) as caught:
        put(files, site)
    return [str(fault) for fault in caught.value.faults]


def zipped(files: Files) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as pack:
        for name, data in files:
            pack.writestr(name, data)
    return made.getvalue()


def test_a_tree_makes_its_groups_handsets_and_a_site_and_registers_nobody() -> None:
    report = put(trees.spectralink())
    assert report.created == {"sites": 1, "groups": 1, "handsets": 1, "lines": 1}
    found = Line.objects.select_related("handset__site", "handset__group").get()
    assert (found.handset.mac, found.extension, found.auth_password) == (WARD, "4101", "pw-4101")
    assert found.supervision == Line.Supervision.OBSERVE
    assert (found.handset.site.name, found.handset.group.name) == ("main", "pbx.hospital.example")
    assert [r.address for r in found.handset.group.dns_records.all()] == ["192.0.2.10"]
    assert not Registration.objects.exclude(due_at=None).exists()
    assert any("main is made" in note.message for note in report.notes)


def test_a_second_import_of_the_same_tree_changes_nothing() -> None:
    put(trees.spectralink())
    report = put(trees.spectralink())
    assert (report.created, report.changed) == ({}, {})


def test_an_import_never_binds_the_address_of_a_handset_in_use() -> None:
    put([("fleet.yaml", FLEET)])
    put(trees.spectralink())
    # It was named for this very address and these servers; that stays.
    found = Line.objects.get()
    assert found.supervision == Line.Supervision.REGISTER
    assert (found.handset.tags, found.handset.group.name) == (["icu"], "Ward")
    put([*trees.spectralink(), (f"overrides/{WARD}-phone.cfg", parameters(line("4777")))])
    found = Line.objects.get()
    assert (found.extension, found.supervision) == ("4777", Line.Supervision.OBSERVE)


def test_a_handset_that_moves_to_other_servers_is_not_registered_there_unasked() -> None:
    put([("fleet.yaml", FLEET)])
    own = line("4101@pbx.hospital.example", server_1_address="192.0.2.66")
    put([(f"{WARD}-ext.cfg", parameters(own))])
    assert Line.objects.get().supervision == Line.Supervision.OBSERVE
    assert Handset.objects.get().group.name == "192.0.2.66"


def test_a_handset_that_is_off_stays_off() -> None:
    put([("fleet.yaml", FLEET.replace(b"supervision: register", b'supervision: "off"'))])
    put([*trees.spectralink(), (f"overrides/{WARD}-phone.cfg", parameters(line("4777")))])
    assert Line.objects.get().supervision == Line.Supervision.OFF


def test_new_handsets_stand_at_the_only_site_or_at_the_one_that_is_named() -> None:
    Site.objects.create(name="north")
    put(trees.spectralink())
    assert Handset.objects.get().site.name == "north"
    Site.objects.create(name="south")
    [fault] = refused(trees.polycom())
    assert "several sites" in fault
    put(trees.polycom(), site="south")
    assert Handset.objects.get(mac=trees.DESK).site.name == "south"
    # Those that are there already stay where they are.
    put(trees.spectralink())
    assert Handset.objects.get(mac=WARD).site.name == "north"


def test_a_zip_holds_a_tree_with_what_is_not_for_us_left_out() -> None:
    data = zipped(
        [*trees.spectralink(), ("sip.ld", b"\0" * 99), ("logs/a.log", b"x"), ("more.zip", b"PK")]
    )
    report = put([("tree.zip", data)])
    assert report.created["handsets"] == 1
    left_out = [note.message for note in report.notes if note.file == "tree.zip"]
    assert left_out == [
        "1 file ending in .ld: not for us, left out.",
        "1 file ending in .log: not for us, left out.",
        "1 file ending in .zip: not for us, left out.",
    ]


def test_a_zip_may_hold_a_fleet_file_and_a_table_too() -> None:
    table = b"mac,extension,domain,group,site,supervision\n00907a000009,1,a.example,Ward,main,off\n"
    report = put([("all.zip", zipped([("f.yaml", FLEET), ("h.csv", table)]))])
    assert report.created["handsets"] == 2


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"nothing", "This is not a zip archive"),
        (zipped([("../site.cfg", b"<a/>")]), "outside of itself"),
        (zipped([("readme.txt", b"hello")]), "has no file to import"),
    ],
)
def test_a_zip_that_is_not_to_be_read_is_refused_with_a_sentence(
    data: bytes, sentence: str
) -> None:
    [fault] = refused([("tree.zip", data)])
    assert fault.startswith("tree.zip")
    assert sentence in fault


def test_every_fault_of_a_tree_is_told_at_once_and_nothing_is_changed() -> None:
    files = [
        *trees.spectralink(),
        ("00907a000001-ext.cfg", parameters(line("41 01"))),
        ("00907a000002-ext.cfg", b"<!DOCTYPE a><a/>"),
        ("h.csv", b"mac\nzz\n"),
    ]
    faults = refused(files)
    assert {fault.partition(",")[0] for fault in faults} == {
        *("00907a000001-ext.cfg", "00907a000002-ext.cfg", "h.csv"),
    }
    assert not ServerGroup.objects.exists()


def test_the_command_takes_a_folder_and_follows_no_link(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = tmp_path / "tftp"
    for name, data in [*trees.spectralink(), (f"overrides/{WARD}-web.cfg", b"<PHONE_CONFIG/>")]:
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "outside.cfg").write_bytes(b"not xml")
    (tree / "link.cfg").symlink_to(tmp_path / "outside.cfg")
    call_command("import_fleet", str(tree), "--dry-run")
    said = capsys.readouterr().out
    assert "handsets: 1 created" in said
    assert "note: " in said
    assert not Handset.objects.exists()
    call_command("import_fleet", str(tree), "--site", "main")
    assert Handset.objects.get().site.name == "main"


def test_a_site_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    Site.objects.create(name="somewhere")
    (tmp_path / f"{WARD}-ext.cfg").write_bytes(parameters(line("1") | trees.SERVERS))
    with pytest.raises(CommandError, match="Nothing was imported: 1 fault"):
        call_command("import_fleet", str(tmp_path), "--site", "nowhere")
