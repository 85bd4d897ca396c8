"""The table of handsets: header, cells, rows, and every fault with its row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.formats import handset_csv
from fleet.formats.faults import Fault

HEADER = (
    "mac,line,name,extension,domain,auth_user,auth_password,group,site,model,supervision,tags\n"
)
ROW = '00907a000001,1,"Nurse, ward 4",4101,pbx.example,4101,pw,ward,main,8440,register,icu; night\n'


def read(text: str) -> tuple[handset_csv.FleetRows, list[Fault]]:
    return handset_csv.read("h.csv", text.encode())


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_table_is_read_with_and_without_byte_order_mark(mark: str, ends: str) -> None:
    rows, wrong = read(mark + (HEADER + ROW).replace("\n", ends))
    assert wrong == []
    [row] = rows.handsets
    assert (row.mac, row.line, row.name) == ("00907a000001", 1, "Nurse, ward 4")
    assert row.tags == ("icu", "night")
    assert row.auth_password == "pw"


@pytest.mark.parametrize("between", [";", "\t"])
def test_what_spreadsheets_write_between_columns_is_read_as_well(between: str) -> None:
    row = ["00907a000001", "1", '"Nurse, ward 4"', "4101", "pbx.example", "4101", "pw", "ward"]
    row += ["main", "8440", "register", '"icu; night"']
    rows, wrong = read(HEADER.replace(",", between) + between.join(row) + "\r\n")
    assert wrong == []
    assert rows.handsets == read(HEADER + ROW)[0].handsets


def test_an_empty_cell_says_nothing() -> None:
    [row] = read("mac,name,extension\n00907a000001,,\n")[0].handsets
    assert (row.name, row.extension, row.supervision) == (None, None, None)


def test_columns_come_in_any_order_and_case() -> None:
    [row] = read("Supervision, MAC\noff,00:90:7a:00:00:01\n")[0].handsets
    assert (row.supervision, row.mac) == ("off", "00907a000001")


def test_every_fault_of_every_row_is_told() -> None:
    text = (
        HEADER + ROW + "xx,0,,4 1,p p,,,,m m,,never,\n\n00907a000002,1\n,,,,,,,,,,,\n,1,,,,,,,,,,\n"
    )
    assert [(f.row, f.field) for f in read(text)[1]] == [
        (3, "mac"),
        (3, "line"),
        (3, "extension"),
        (3, "domain"),
        (3, "site"),
        (3, "supervision"),
        (5, ""),
        (7, "mac"),
    ]


def test_rows_are_counted_in_lines_of_the_file_also_after_a_cell_of_two_lines() -> None:
    text = 'mac,name\n00907a000001,"two\nlines"\nbad,x\n'
    assert [(f.row, f.field) for f in read(text)[1]] == [(2, "name"), (4, "mac")]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", ""),
        ("mac\n", ""),
        ("line\n1\n", "mac"),
        ("mac,mac\n1,2\n", "mac"),
        ("mac,colour\n00907a000001,red\n", "colour"),
        ("mac,\n00907a000001,\n", "column 2"),
        ('mac\n"00907a000001\n', ""),
        ("mac\n0090\x007a\n", ""),
    ],
)
def test_what_is_no_such_table_is_one_fault(text: str, field: str) -> None:
    [fault] = read(text)[1]
    assert fault.field == field


def test_a_table_without_an_end_and_a_cell_without_one_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handset_csv, "MAX_ROWS", 10)
    _, wrong = read("mac\n" + "x\n" * 1000)
    assert [fault.message for fault in wrong][-1] == "A table has at most 10 rows."
    assert len(wrong) == 11
    [fault] = read(f"mac,name\n00907a000001,{'a' * 1_000_000}\n")[1]
    assert "This is not CSV" in fault.message


def test_a_password_is_in_no_fault() -> None:
    _, wrong = read("mac,auth_password\n00907a000001,secret\x01word\n")
    assert len(wrong) == 1
    assert "secret" not in str(wrong[0])


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    handset_csv.read("h.csv", data)
    handset_csv.read("h.csv", b"mac,line,tags\n" + data)
