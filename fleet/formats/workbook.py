"""The sheets of an XLSX file as rows of texts; no formula is run and no link followed.

Numbers that are whole are written without a fraction, so that an extension kept as a number reads
as it looks. Dates are the numbers they are kept as.
"""

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.parsers import expat

from fleet.formats import archive
from fleet.formats.decoding import MAX_ROWS, Unreadable

MOST_COLUMNS = 256

Row = tuple[int, list[str]]
"""The number of a row in its sheet, from 1, and its cells; empty ones at the end are left out."""

_CELL = re.compile(r"([A-Z]{1,3})(\d{1,7})", re.ASCII)
_WANTED = re.compile(
    r"xl/(?:workbook\.xml|_rels/workbook\.xml\.rels|sharedStrings\.xml|worksheets/[^/]+\.xml)",
    re.IGNORECASE,
)


def read(data: bytes) -> dict[str, list[Row]]:
    """Return the rows of each sheet by its name, in the workbook's order. Raises Unreadable."""
    parts = dict(archive.read(data, lambda name: _WANTED.fullmatch(name) is not None))
    if "xl/workbook.xml" not in parts:
        raise Unreadable("This is not a workbook (.xlsx).")
    targets = {}
    for found in _elements(parts.get("xl/_rels/workbook.xml.rels", b"<r/>"), "Relationship"):
        target = found.get("Target", "")
        path = posixpath.normpath(posixpath.join("xl", target.removeprefix("/xl/")))
        targets[found.get("Id", "")] = path
    shared = _shared(parts.get("xl/sharedStrings.xml"))
    sheets: dict[str, list[Row]] = {}
    for found in _elements(parts["xl/workbook.xml"], "sheet"):
        content = parts.get(targets.get(found.get("id", ""), ""))
        if content is not None:
            sheets[found.get("name", "")] = _Sheet(shared).read(content)
    if not sheets:
        raise Unreadable("The workbook has no sheet.")
    return sheets


def _parse(
    data: bytes,
    begin: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] = lambda name: None,
    text: Callable[[str], None] = lambda data: None,
) -> None:
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise Unreadable("The workbook has a DTD: it is not read.")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda name, given: begin(
        _local(name), {_local(n): v for n, v in given.items()}
    )
    parser.EndElementHandler = lambda name: end(_local(name))
    parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise Unreadable("The workbook is damaged: its parts are not XML.") from error


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _elements(data: bytes, wanted: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    _parse(data, lambda name, given: found.append(given) if name == wanted else None)
    return found


def _shared(data: bytes | None) -> list[str]:
    """The texts that cells refer to by number; those of phonetic runs are no part of them."""
    texts: list[str] = []
    if data is None:
        return texts
    pieces: list[str] = []
    inside: list[str] = []

    def begin(name: str, _: dict[str, str]) -> None:
        inside.append(name)
        if name == "si":
            pieces.clear()

    def end(name: str) -> None:
        inside.pop()
        if name == "si":
            texts.append("".join(pieces))

    def text(data: str) -> None:
        if inside[-1] == "t" and "rPh" not in inside:
            pieces.append(data)

    _parse(data, begin, end, text)
    return texts


@dataclass(slots=True)
class _Sheet:
    shared: list[str]
    rows: list[Row] = field(default_factory=list)
    _number: int = 0
    _cells: dict[int, str] = field(default_factory=dict)
    _column: int = -1
    _kind: str = ""
    _inside: list[str] = field(default_factory=list)
    _pieces: list[str] = field(default_factory=list)

    def read(self, data: bytes) -> list[Row]:
        _parse(data, self._begin, self._end, self._text)
        return self.rows

    def _begin(self, name: str, given: dict[str, str]) -> None:
        self._inside.append(name)
        if name == "row":
            said = given.get("r", "")
            self._number = int(said) if said.isdecimal() and len(said) < 8 else self._number + 1
            self._cells = {}
            self._column = -1
        elif name == "c":
            self._column = _column(given.get("r", ""), self._column + 1)
            self._kind = given.get("t", "n")
            self._pieces = []

    def _text(self, data: str) -> None:
        if self._inside[-1] in {"v", "t"} and "rPh" not in self._inside:
            self._pieces.append(data)

    def _end(self, name: str) -> None:
        self._inside.pop()
        if name == "c" and (text := self._value("".join(self._pieces))):
            if self._column >= MOST_COLUMNS:
                raise Unreadable(f"A sheet has more than {MOST_COLUMNS} columns.", self._number)
            self._cells[self._column] = text
        elif name == "row" and self._cells:
            if len(self.rows) >= MAX_ROWS:
                raise Unreadable(f"A sheet has more than {MAX_ROWS} rows.", self._number)
            last = max(self._cells)
            self.rows.append((self._number, [self._cells.get(n, "") for n in range(last + 1)]))

    def _value(self, text: str) -> str:
        if self._kind == "s":
            number = int(text) if text.isdecimal() and len(text) < 9 else -1
            return self.shared[number] if 0 <= number < len(self.shared) else ""
        if self._kind == "b":
            return "true" if text == "1" else "false"
        return _plain(text) if self._kind == "n" else text


def _column(reference: str, otherwise: int) -> int:
    match = _CELL.fullmatch(reference)
    if match is None:
        return otherwise
    number = 0
    for letter in match[1]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _plain(text: str) -> str:
    """A number as it looks: `4101.0` and `4.101E3` are `4101`."""
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else text
