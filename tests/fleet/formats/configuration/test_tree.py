"""Which handsets a tree has, and which of their files win."""

from fleet.formats.configuration import document
from fleet.formats.configuration.tree import Tree
from tests.support import trees
from tests.support.trees import ICU, WARD, Files, line, master, parameters


def read(files: Files) -> tuple[dict[str, list[str]], list[str]]:
    """The files of each handset, by MAC, and what was noted."""
    tree = Tree({name: document.read(name, data) for name, data in files})
    found = {each.mac: [d.file for d in each.documents] for each in tree.handsets()}
    return found, [str(note) for note in tree.notes]


def own(extension: str) -> bytes:
    return parameters(line(extension))


def test_the_shared_master_names_each_handsets_files_by_its_mac() -> None:
    files = [*trees.spectralink(), (f"{ICU}-ext.cfg", own("4102"))]
    found, notes = read(files)
    assert found == {
        WARD: [f"{WARD}-ext.cfg", "site.cfg"],
        ICU: [f"{ICU}-ext.cfg", "site.cfg"],
    }
    assert notes == []


def test_a_master_file_of_its_own_comes_before_the_shared_one() -> None:
    files = [
        *trees.spectralink(),
        (f"{WARD}.cfg", master(f"{WARD}-ext.cfg, ward4.cfg")),
        ("ward4.cfg", parameters({"voIpProt.server.1.address": "192.0.2.40"})),
    ]
    assert read(files)[0] == {WARD: [f"{WARD}-ext.cfg", "ward4.cfg"]}


def test_overrides_win_the_handsets_own_before_its_web_page() -> None:
    files = [
        *trees.spectralink(),
        (f"overrides/{WARD}-web.cfg", own("4777")),
        (f"overrides/{WARD}-phone.cfg", own("4888")),
        (f"elsewhere/{WARD}-phone.cfg", own("4999")),
    ]
    assert read(files)[0][WARD][:3] == [
        f"overrides/{WARD}-phone.cfg",
        f"overrides/{WARD}-web.cfg",
        f"{WARD}-ext.cfg",
    ]


def test_a_file_that_is_named_is_no_override_though_it_is_called_so() -> None:
    files = [
        ("000000000000.cfg", trees.application("sip.cfg, [PHONE_MAC_ADDRESS]-phone.cfg")),
        (f"{WARD}-phone.cfg", own("4101")),
        ("sip.cfg", parameters(trees.SERVERS)),
    ]
    assert read(files)[0] == {WARD: ["sip.cfg", f"{WARD}-phone.cfg"]}


def test_names_are_found_in_any_case_and_below_folders() -> None:
    files = [
        ("000000000000.cfg", master("phones\\[phone_mac_address]-EXT.cfg, Site.CFG")),
        (f"phones/{WARD.upper()}-ext.cfg", own("4101")),
        ("site.cfg", parameters(trees.SERVERS)),
    ]
    assert read(files)[0] == {WARD: [f"phones/{WARD.upper()}-ext.cfg", "site.cfg"]}


def test_each_folder_with_a_master_file_is_a_tree_of_its_own() -> None:
    files = trees.renamed(trees.spectralink(), "north")
    files += trees.renamed([f for f in trees.polycom() if f], "a/south")
    found, _ = read(files)
    assert found[WARD] == [f"north/{WARD}-ext.cfg", "north/site.cfg"]
    assert found[trees.DESK][-1] == "a/south/sip.cfg"


def test_a_shared_file_that_is_missing_is_told_once_one_of_a_handset_is_not() -> None:
    files = [
        ("000000000000.cfg", master("[PHONE_MAC_ADDRESS]-a.cfg, [PHONE_MAC_ADDRESS]-b.cfg, s.cfg")),
        (f"{WARD}-a.cfg", own("4101")),
        (f"{ICU}-a.cfg", own("4102")),
    ]
    found, notes = read(files)
    assert found == {WARD: [f"{WARD}-a.cfg"], ICU: [f"{ICU}-a.cfg"]}
    assert len(notes) == 1
    assert "s.cfg" in notes[0]


def test_no_name_leads_out_of_the_tree() -> None:
    files = [
        ("tree/000000000000.cfg", master("../secret.cfg, [PHONE_MAC_ADDRESS]-ext.cfg")),
        (f"tree/{WARD}-ext.cfg", own("4101")),
        ("secret.cfg", parameters(trees.SERVERS)),
    ]
    assert read(files)[0] == {WARD: [f"tree/{WARD}-ext.cfg"]}


def test_without_a_master_file_a_handsets_own_files_win_and_that_is_told() -> None:
    files = [f for f in trees.spectralink() if f[0] != "000000000000.cfg"]
    found, notes = read(files)
    assert found == {WARD: [f"{WARD}-ext.cfg", "site.cfg"]}
    assert "no master file" in notes[0]


def test_directories_logs_and_the_placeholder_are_no_handsets() -> None:
    files = [
        *trees.spectralink(),
        (
            f"{ICU}-directory.xml",
            b"<directory><item_list><item><fn>x</fn></item></item_list></directory>",
        ),
        ("000000000000-directory.xml", b"<directory/>"),
    ]
    assert set(read(files)[0]) == {WARD}


def test_a_handsets_file_that_should_be_a_master_but_has_parameters_is_read_first() -> None:
    files = [("000000000000.cfg", master("site.cfg")), (f"{WARD}.cfg", own("4101"))]
    files.append(("site.cfg", parameters(trees.SERVERS)))
    assert read(files)[0] == {WARD: [f"{WARD}.cfg", "site.cfg"]}


def test_a_models_own_list_is_read_where_there_is_no_other() -> None:
    models = '<APPLICATION_VVX1500 CONFIG_FILES_VVX1500="vvx.cfg, [PHONE_MAC_ADDRESS]-user.cfg"/>'
    files = [
        ("000000000000.cfg", trees.application("", models=models)),
        (f"{WARD}-user.cfg", own("4101")),
        ("vvx.cfg", parameters(trees.SERVERS)),
    ]
    assert read(files)[0] == {WARD: ["vvx.cfg", f"{WARD}-user.cfg"]}


def test_a_master_file_may_name_handsets_own_files_with_the_mac_further_in() -> None:
    found, [note] = read(
        [
            ("000000000000.cfg", master("phone[PHONE_MAC_ADDRESS].cfg, site.cfg")),
            ("phone0004f2abcdef.cfg", own("4101")),
            ("phone[PHONE_MAC_ADDRESS].cfg", own("template")),
            ("site.cfg", parameters(trees.SERVERS)),
        ]
    )
    assert found == {"0004f2abcdef": ["phone0004f2abcdef.cfg", "site.cfg"]}
    assert note.startswith("phone[PHONE_MAC_ADDRESS].cfg: A template")


def test_a_handsets_file_that_nobody_names_is_left_out_and_told() -> None:
    found, notes = read([(f"{WARD}.cfg", own("4101")), ("phone0004f2abcdef.cfg", own("4102"))])
    assert found == {WARD: [f"{WARD}.cfg"]}
    assert ["phone0004f2abcdef.cfg: Looks like a handset's own file" in note for note in notes] == [
        True
    ]
