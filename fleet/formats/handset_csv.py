"""The table of handsets: CSV with a header row, in UTF-8, one line of one handset per row.

An empty cell says nothing: it leaves what is there. Tags are separated by semicolons.
"""

import csv
import io
from collections.abc import Callable
from functools import partial
from typing import Any

from fleet.formats import values
from fleet.formats.decoding import MAX_ROWS, Unreadable, decode
from fleet.formats.faults import Fault, Place
from fleet.formats.fleet_file import HANDSET
from fleet.formats.rows import FleetRows, HandsetRow

COLUMNS = HANDSET


def _tags(cell: str) -> tuple[str, ...]:
    return values.words(cell.split(";"))


_READERS: dict[str, Callable[[str], Any]] = {
    "mac": values.mac,
    "line": values.line,
    "name": partial(values.text, longest=120),
    "extension": values.extension,
    "domain": values.domain,
    "auth_user": partial(values.needed, longest=128),
    "auth_password": values.password,
    "group": partial(values.needed, longest=80),
    "site": values.slug,
    "model": partial(values.text, longest=40),
    "supervision": values.supervision,
    "tags": _tags,
}


def read(file: str, data: bytes) -> tuple[FleetRows, list[Fault]]:
    """Return what the table says, and every fault found. Only without faults is it to be used."""
    place = Place(file)
    faults: list[Fault] = []
    rows: list[HandsetRow] = []
    try:
        text = decode(data)
    except Unreadable as error:
        return FleetRows(), [place.fault("", str(error), error.row)]
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader)]
        faults += _header_faults(place, header)
        if header.count("mac") != 1:
            return FleetRows(), faults
        count = _rows(place, reader, header, rows, faults)
    except csv.Error as error:
        message = f"This is not CSV: {error}."
        return FleetRows(), [*faults, place.fault("", message, reader.line_num)]
    if not count:
        faults.append(place.fault("", "The table has a header and no handset."))
    return FleetRows(handsets=tuple(rows)), faults


def _rows(
    place: Place, reader: Any, header: list[str], rows: list[HandsetRow], faults: list[Fault]
) -> int:
    count = 0
    begins = reader.line_num + 1
    for cells in reader:
        here, begins = Place(place.file, begins), reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > MAX_ROWS:
            faults.append(here.fault("", f"A table has at most {MAX_ROWS} rows."))
            break
        row = _row(here, header, cells, faults)
        if row is not None:
            rows.append(row)
    return count


def _header_faults(place: Place, header: list[str]) -> list[Fault]:
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        return [place.fault("", "The columns must be separated by commas.", 1)]
    permitted = f"The columns are {', '.join(COLUMNS)}."
    faults = [
        place.fault(name[:60] or f"column {number}", f"There is no such column. {permitted}", 1)
        for number, name in enumerate(header, 1)
        if name not in COLUMNS
    ]
    faults += [
        place.fault(name, "This column stands here twice.", 1)
        for name in COLUMNS
        if header.count(name) > 1
    ]
    if "mac" not in header:
        faults.append(place.fault("mac", "This column is missing.", 1))
    return faults


def _row(
    place: Place, header: list[str], cells: list[str], faults: list[Fault]
) -> HandsetRow | None:
    if len(cells) != len(header):
        message = f"This row has {len(cells)} cells, the header {len(header)}."
        faults.append(place.fault("", message))
        return None
    given: dict[str, Any] = {"mac": f"?{place.file}:{place.row}"}
    wrong: set[str] = set()
    for name, cell in zip(header, cells, strict=True):
        if name not in _READERS or not cell.strip():
            continue
        try:
            given[name] = _READERS[name](cell)
        except ValueError as error:
            faults.append(place.fault(name, str(error)))
            wrong.add(name)
    if not cells[header.index("mac")].strip():
        faults.append(place.fault("mac", "This is missing."))
    return HandsetRow(place=place, wrong=frozenset(wrong), **given)
