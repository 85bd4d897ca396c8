"""One configuration file: its root, and every dotted attribute of every element.

Element names carry no meaning; an attribute's name is the parameter's full name. Names are matched
in any spelling (`userID`, `userId`) and kept as they were written. DTDs and entities are refused,
so nothing in a file can grow.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from fleet.formats.decoding import MAX_BYTES, Unreadable
from fleet.formats.faults import Fault, Place
from fleet.formats.rows import Source

MAX_DEPTH = 32
MOST_VALUES = 100_000
MASTERS = frozenset({"MASTER_CONFIG", "APPLICATION"})
SPECTRALINKS = frozenset({"MASTER_CONFIG", "HANDSETCONFIG"})
"""Roots of the 84-Series, whose defaults differ from those of Polycom's UCS."""

SERVERS = re.compile(
    r"voipprot\.(?:server|sip)\.|dns\.cache\.|reg\.\d+\.(?:server|outboundproxy|tcpfast)", re.ASCII
)
"""What says where a line registers and how, begins so (in lower case)."""
_OURS = re.compile(
    r"reg\.[^.]*\.(?:address|auth\.userid|auth\.password|displayname|label)", re.ASCII
)
LINE = re.compile(r"reg\.([1-9]\d?)\.address", re.ASCII)


@dataclass(frozen=True, slots=True)
class Value:
    """What a file says of one parameter."""

    name: str
    """As it was written."""
    text: str = field(repr=False)
    place: Place

    def fault(self, message: str) -> Fault:
        return self.place.fault(self.name, message)

    @property
    def source(self) -> Source:
        return Source(self.place.file, self.place.row, self.name)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One file. Two are the same only if they are the same object."""

    file: str
    root: str
    values: Mapping[str, Value]
    """By name in lower case; those left empty are not set."""
    names: Mapping[str, str]
    """Of a master file: what its attributes without a dot say, by name in upper case."""
    notes: tuple[Fault, ...] = ()
    lines: frozenset[int] = frozenset()
    """Numbers of the lines whose address stands here."""
    says_servers: bool = False
    """It has something of where lines register and how."""

    def unknown(self) -> Iterator[tuple[str, Value]]:
        """Yield what says nothing about registration, by name in lower case."""
        for name, value in self.values.items():
            if not (SERVERS.match(name) or _OURS.fullmatch(name)):
                yield name, value

    @property
    def is_master(self) -> bool:
        return self.root.upper() in MASTERS

    @property
    def is_spectralink(self) -> bool:
        return self.root.upper() in SPECTRALINKS


def read(file: str, data: bytes) -> Document:
    """Return what the file says. Raises Unreadable with a sentence."""
    if len(data) > MAX_BYTES:
        raise Unreadable(f"The file is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    if not data.strip():
        raise Unreadable("The file is empty.")
    found = _Reader(file)
    try:
        found.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise Unreadable(_sentence(error, data), error.lineno) from error
    except (LookupError, ValueError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable("The file names an encoding nobody reads; save it as UTF-8.") from error
    return found.document()


def _sentence(error: expat.ExpatError, data: bytes) -> str:
    if error.code == expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]:
        try:
            data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return "The file is not in the encoding it names (UTF-8 if none); save it as UTF-8."
    if error.code == expat.errors.codes[expat.errors.XML_ERROR_UNKNOWN_ENCODING]:
        return "The file names an encoding nobody reads; save it as UTF-8."
    return f"This is not XML: {expat.ErrorString(error.code)}."


class _Reader:
    """Collects attributes while the parser walks through the elements."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._root = ""
        self._depth = 0
        self._values: dict[str, Value] = {}
        self._names: dict[str, str] = {}
        self._set: set[str] = set()
        self._notes: list[Fault] = []
        self.parser = expat.ParserCreate()
        self.parser.ordered_attributes = True
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse

    def document(self) -> Document:
        values = {name: v for name, v in self._values.items() if v.text and self._counts(name)}
        return Document(
            self._file,
            self._root,
            values,
            self._names,
            tuple(self._notes),
            frozenset(int(match[1]) for name in values if (match := LINE.fullmatch(name))),
            any(SERVERS.match(name) for name in values),
        )

    def _counts(self, name: str) -> bool:
        """A `device.*` value without its `.set` is inert."""
        return not name.startswith("device.") or name in self._set

    def _refuse(self, *_: object) -> None:
        raise Unreadable(
            "The file has a DTD (<!DOCTYPE ...>), and handsets' files have none: it is not read.",
            self.parser.CurrentLineNumber,
        )

    def _begin(self, element: str, attributes: list[str]) -> None:
        row = self.parser.CurrentLineNumber
        self._root = self._root or element
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable("This is nested too deep.", row)
        for name, text in zip(attributes[::2], attributes[1::2], strict=True):
            if "." in name:
                self._keep(name, text.strip() if "password" not in name.lower() else text, row)
            elif self._root.upper() in MASTERS:
                self._names.setdefault(name.upper(), text.strip())

    def _end(self, element: str) -> None:
        self._depth -= 1

    def _keep(self, name: str, text: str, row: int) -> None:
        key = name.lower()
        if key.endswith(".set"):
            if text == "1":
                self._set.add(key.removesuffix(".set"))
            return
        value = Value(name, text, Place(self._file, row))
        before = self._values.get(key)
        if before is not None and before.text and before.text != text:
            self._notes.append(value.fault(f"Row {before.place.row} says otherwise; this counts."))
        if len(self._values) + len(self._notes) >= MOST_VALUES:
            raise Unreadable(f"The file has more than {MOST_VALUES} parameters.", row)
        self._values[key] = value
