"""The table of handsets: CSV with a header row, in UTF-8, one line of one handset per row.

Between the columns are commas, or what spreadsheets write in their place: semicolons where a comma
is for decimals, tabs where cells are copied. An empty cell says nothing: it leaves what is there.
Tags are separated by semicolons.
"""

import csv
import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from fleet.formats import spreadsheet, values
from fleet.formats.decoding import MAX_ROWS, Unreadable, decode
from fleet.formats.faults import Fault, Place
from fleet.formats.fleet_file import HANDSET
from fleet.formats.rows import FleetRows, HandsetRow

COLUMNS = HANDSET
SEPARATORS = (",", ";", "\t")

HELP = {
    "mac": "Twelve hexadecimal digits, with or without : - . between them. The only one needed "
    "where the handset is known already.",
    "line": "Which of the handset's lines, 1 to 99; left empty, 1.",
    "name": "What people call it.",
    "extension": "The user part of its address of record. A new line needs it.",
    "domain": "The host part of its address of record. A new line needs it.",
    "auth_user": "Who authenticates; left empty for a new line, the extension.",
    "auth_password": "Kept encrypted, and never shown again.",
    "group": "The name of its group of servers. A new handset needs it.",
    "site": "Where it stands, by the site's name. A new handset needs it.",
    "model": "For example 8440.",
    "supervision": "register: Rollcall holds the registration; only for addresses that are its "
    "own. observe: Rollcall asks and changes nothing. off. A new line needs it.",
    "tags": "Words of your own, separated by semicolons.",
}


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
    try:
        text = decode(data)
    except Unreadable as error:
        return FleetRows(), [place.fault("", str(error), error.row)]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_between(text), strict=True)
    try:
        return read_rows(place, _meant(_numbered(reader)))
    except csv.Error as error:
        message = f"This is not CSV: {error}."
        return FleetRows(), [place.fault("", message, reader.line_num)]


def _between(text: str) -> str:
    """What stands between the columns: no name of one has any of these."""
    header = text.lstrip().partition("\n")[0]
    return max(SEPARATORS, key=header.count)


def read_rows(place: Place, rows: Iterator[tuple[int, list[str]]]) -> tuple[FleetRows, list[Fault]]:
    """As `read`, of rows with the number each begins at; the first is the header."""
    _, first = next(rows)
    header = [name.strip().lower() for name in first]
    faults = _header_faults(place, header)
    if header.count("mac") != 1:
        return FleetRows(), faults
    found: list[HandsetRow] = []
    count = 0
    for number, cells in rows:
        if any(cell.strip() for cell in cells):
            count += 1
            if count > MAX_ROWS:
                message = f"A table has at most {MAX_ROWS} rows."
                faults.append(place.fault("", message, number))
                break
            row = _row(Place(place.file, number), header, cells, faults)
            found += [] if row is None else [row]
    if not count:
        faults.append(place.fault("", "The table has a header and no handset."))
    return FleetRows(handsets=tuple(found)), faults


def _meant(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """Cells without what keeps a spreadsheet from running them; passwords are as they are."""
    passwords: set[int] | None = None
    for number, cells in rows:
        if passwords is None:
            passwords = {n for n, c in enumerate(cells) if c.strip().lower() == "auth_password"}
        kept = passwords
        yield number, [c if n in kept else spreadsheet.unescaped(c) for n, c in enumerate(cells)]


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    begins = 1
    for cells in reader:
        yield begins, cells
        begins = reader.line_num + 1


def _header_faults(place: Place, header: list[str]) -> list[Fault]:
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
