"""An XLSX: its sheets as rows of texts, and what is refused."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from fleet.formats import workbook
from fleet.formats.decoding import Unreadable

Sheets = Mapping[str, Sequence[Sequence[Any]]]


def book(sheets: Sheets, **options: bool) -> bytes:
    made = io.BytesIO()
    with xlsxwriter.Workbook(made, options) as out:
        for name, rows in sheets.items():
            sheet = out.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return made.getvalue()


def refused(data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        workbook.read(data)
    return str(caught.value)


@pytest.mark.parametrize("inline", [True, False])
def test_cells_are_texts_as_they_look(inline: bool) -> None:
    row = ["00907a000001", 4101, 4101.0, 0.5, True, "Zürich & <b>"]
    found = workbook.read(book({"a": [row]}, constant_memory=inline))
    assert found == {"a": [(1, ["00907a000001", "4101", "4101", "0.5", "true", "Zürich & <b>"])]}


def test_empty_rows_are_left_out_and_gaps_are_kept() -> None:
    assert workbook.read(book({"a": [["x", "", "y"], [], ["", "z"]]})) == {
        "a": [(1, ["x", "", "y"]), (3, ["", "z"])]
    }


def test_sheets_come_by_name_in_their_order() -> None:
    assert list(workbook.read(book({"b": [["1"]], "a": [["2"]]}))) == ["b", "a"]


def test_no_formula_is_run_its_last_value_counts() -> None:
    made = io.BytesIO()
    with xlsxwriter.Workbook(made) as out:
        out.add_worksheet("a").write_formula(0, 0, '=HYPERLINK("http://x")', None, "kept")
    assert workbook.read(made.getvalue()) == {"a": [(1, ["kept"])]}


def changed(part: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book({"a": [["x"]]}))) as old,
        zipfile.ZipFile(made, "w") as new,
    ):
        for name in old.namelist():
            new.writestr(name, content if name == part else old.read(name))
    return made.getvalue()


def test_what_is_no_workbook_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = "xl/worksheets/sheet1.xml"
    assert "not a zip" in refused(b"mac,name")
    assert "DTD" in refused(changed(sheet, b"<!DOCTYPE a><worksheet/>"))
    assert "damaged" in refused(changed(sheet, b"<worksheet>"))
    assert "not a workbook" in refused(zipped := _zip("readme.txt")) and zipped
    monkeypatch.setattr(workbook, "MOST_COLUMNS", 2)
    assert "columns" in refused(book({"a": [["x", "y", "z"]]}))
    monkeypatch.setattr(workbook, "MAX_ROWS", 1)
    assert "rows" in refused(book({"a": [["x"], ["y"]]}))


def _zip(name: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        out.writestr(name, "x")
    return made.getvalue()


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(st.lists(st.lists(TEXT, min_size=1, max_size=4), min_size=1, max_size=4))
def test_texts_come_back_as_they_were_written(rows: list[list[str]]) -> None:
    data = book({"a": rows}, strings_to_formulas=False, strings_to_urls=False)
    assert workbook.read(data)["a"] == list(enumerate(rows, 1))
