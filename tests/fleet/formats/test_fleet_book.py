"""The fleet as a workbook: its sheets, and each fault by the sheet it stands on."""

from fleet.formats import fleet_book
from fleet.formats.dns_cache import DnsRow
from tests.fleet.formats.test_workbook import Sheets, book

WHOLE: Sheets = {
    "Sites": [["name", "time_zone"], ["main", "America/Denver"]],
    "Groups": [["name", "mode", "policy.expires"], ["Ward", "failover", 600]],
    "Servers": [["group", "address", "port"], ["Ward", "pbx.example", 0], ["Ward", "192.0.2.1"]],
    "DNS records": [
        ["group", "type", "name", "address"],
        ["Ward", "A", "pbx.example", "192.0.2.9"],
    ],
    "Handsets": [["mac", "extension", "tags"], ["00907a000001", 4101, "icu;night"]],
    "About": [["made", "today"]],
}


def faults(sheets: Sheets) -> list[tuple[str, int | None, str]]:
    return [(f.file, f.row, f.field) for f in fleet_book.read("f.xlsx", book(sheets))[1]]


def test_all_sheets_are_read_together() -> None:
    rows, wrong = fleet_book.read("f.xlsx", book(WHOLE))
    assert wrong == []
    [site], [group], [handset] = rows.sites, rows.groups, rows.handsets
    assert (site.name, site.time_zone) == ("main", "America/Denver")
    assert (group.name, group.mode, group.policy) == ("Ward", "failover", {"expires": 600})
    assert [(s.address, s.port) for s in group.servers or ()] == [
        ("pbx.example", 0),
        ("192.0.2.1", 5060),
    ]
    assert group.dns_cache == (DnsRow("A", "pbx.example", 300, "192.0.2.9"),)
    assert (handset.extension, handset.tags) == ("4101", ("icu", "night"))


def test_a_workbook_without_our_sheets_is_a_table_of_handsets() -> None:
    rows, wrong = fleet_book.read("f.xlsx", book({"Sheet1": [["MAC"], ["00907a000001"]]}))
    assert (wrong, [row.mac for row in rows.handsets]) == ([], ["00907a000001"])


def test_cells_missing_at_the_end_of_a_row_are_empty() -> None:
    sheet = [["mac", "name", "model"], ["00907a000001"], ["00907a000002", "a", "b"]]
    assert faults({"Handsets": sheet}) == []


def test_a_fault_names_the_sheet_the_row_and_the_field() -> None:
    sheets = dict(WHOLE)
    sheets["Sites"] = [["name", "colour"], ["m n", "red"]]
    sheets["Groups"] = [["name", "mode", "policy.expires"], ["Ward", "never", 1]]
    sheets["Servers"] = [["group", "address"], ["Ward", "no host!"], ["Nobody", "a.example"]]
    sheets["DNS records"] = [["group", "type", "name"], ["Ward", "A", "pbx.example"]]
    sheets["Handsets"] = [["mac"], ["zz"]]
    assert sorted(faults(sheets)) == [
        ("f.xlsx, DNS records", 2, "address"),
        ("f.xlsx, Groups", 2, "mode"),
        ("f.xlsx, Groups", 2, "policy.expires"),
        ("f.xlsx, Handsets", 2, "mac"),
        ("f.xlsx, Servers", 2, "address"),
        ("f.xlsx, Servers", 3, "group"),
        ("f.xlsx, Sites", 2, "colour"),
        ("f.xlsx, Sites", 2, "name"),
    ]


def test_an_empty_workbook_is_a_fault() -> None:
    assert faults({"Sheet1": []}) == [("f.xlsx", None, "")]
