"""An XLSX file: the rows on the first sheet, what they are on the last.

The format is a zip that is complete only at its end, so it is written to a file first, row by row,
and memory does not grow with it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import xlsxwriter
from django.http import QueryDict

from registrations.exports.cells import iso_cell

SHEET_ROWS = 1_048_575
"""What a sheet holds below its header; more rows go on on the next one."""

READ = 1 << 18

NOTHING_IS_RUN = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "nan_inf_to_errors": True,
}
"""Cells hold what was written: no text is taken for a formula, a link or a number."""


def workbook_bytes(
    title: str,
    columns: Sequence[str],
    chunks: Iterable[Sequence[tuple[Any, ...]]],
    meta: Mapping[str, Any],
) -> Iterator[bytes]:
    """Yield b"" for every chunk that was taken in, then the whole file in pieces."""
    with TemporaryDirectory() as folder, TemporaryFile() as file:
        book = xlsxwriter.Workbook(file, NOTHING_IS_RUN | {"tmpdir": folder})
        bold = book.add_format({"bold": True})
        sheet, number = None, 0
        for chunk in chunks:
            for row in chunk:
                if sheet is None or number == SHEET_ROWS:
                    sheet, number = _new_sheet(book, title, columns, bold), 0
                number += 1
                _write(sheet, number, row)
            yield b""
        if sheet is None:
            _new_sheet(book, title, columns, bold)
        _about(book.add_worksheet("About"), bold, meta)
        book.close()
        file.seek(0)
        while data := file.read(READ):
            yield data


def _new_sheet(book: Any, title: str, columns: Sequence[str], bold: Any) -> Any:
    number = len(book.worksheets()) + 1
    sheet = book.add_worksheet(title if number == 1 else f"{title} {number}")
    for column, name in enumerate(columns):
        sheet.write_string(0, column, name, bold)
    sheet.freeze_panes(1, 0)
    return sheet


def _write(sheet: Any, number: int, row: tuple[Any, ...]) -> None:
    for column, value in enumerate(row):
        if value is None or value == "":
            continue
        if isinstance(value, str):
            sheet.write_string(number, column, value)
        elif isinstance(value, datetime):
            sheet.write_string(number, column, iso_cell(value))
        else:
            sheet.write_number(number, column, value)


def _about(sheet: Any, bold: Any, meta: Mapping[str, Any]) -> None:
    sheet.set_column(0, 1, 28)
    for number, (name, value) in enumerate(meta.items()):
        sheet.write_string(number, 0, name, bold)
        if isinstance(value, Mapping):
            given = QueryDict(mutable=True)
            for field, wanted in value.items():
                given.setlist(field, wanted if isinstance(wanted, list) else [wanted])
            sheet.write_string(number, 1, given.urlencode())
        elif isinstance(value, str):
            sheet.write_string(number, 1, value)
        else:
            sheet.write_number(number, 1, value)
