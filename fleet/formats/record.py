"""Reads one record field by field and keeps every fault it meets on the way."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from fleet.formats import tree
from fleet.formats.faults import Fault, Place

T = TypeVar("T")


class Record:
    """One mapping of a YAML file. A field that is absent or null reads as None."""

    def __init__(
        self, node: tree.Mapping, place: Place, faults: list[Fault], prefix: str = ""
    ) -> None:
        self._node = node
        self._faults = faults
        self._prefix = prefix
        self.place = Place(place.file, node.row)
        self.wrong: set[str] = set()
        """Names of fields with a fault."""
        for row, name in node.doubled:
            self.fault(name, "This stands here twice.", row)

    def fault(self, name: str, message: str, row: int | None = None) -> None:
        self.wrong.add(name)
        self._faults.append(self.place.fault(f"{self._prefix}{name}", message, row))

    def only(self, permitted: Iterable[str]) -> None:
        """A fault for each key that is none of these."""
        known = set(permitted)
        for name, node in self._node.entries.items():
            if name not in known:
                self.fault(name[:60], "There is no such field.", node.row)

    def read(self, name: str, reader: Callable[[str], T]) -> T | None:
        """The field's value by `reader`, whose ValueError becomes a fault."""
        node = self._given(name)
        if node is None:
            return None
        if not isinstance(node, tree.Scalar):
            self.fault(name, "Write one value here, not a list or a table.", node.row)
            return None
        try:
            return reader(node.text)
        except ValueError as error:
            self.fault(name, str(error), node.row)
            return None

    def need(self, name: str, reader: Callable[[str], T]) -> T | None:
        """As `read`; absent is a fault."""
        if self._given(name) is None:
            self.fault(name, "This is missing.")
        return self.read(name, reader)

    def read_words(
        self, name: str, reader: Callable[[list[str]], tuple[str, ...]]
    ) -> tuple[str, ...] | None:
        """A list of words; a single word is taken for a list of one."""
        node = self._given(name)
        if node is None:
            return None
        items = node.items if isinstance(node, tree.Sequence) else [node]
        texts = [item.text for item in items if isinstance(item, tree.Scalar)]
        if len(texts) < len(items):
            self.fault(name, "Write a list of words here.", node.row)
            return None
        try:
            return reader(texts)
        except ValueError as error:
            self.fault(name, str(error), node.row)
            return None

    def records(self, name: str) -> "list[Record] | None":
        """A list of records."""
        node = self._given(name)
        if node is None:
            return None
        if not isinstance(node, tree.Sequence):
            self.fault(name, "Write a list here.", node.row)
            return None
        found = []
        for position, item in enumerate(node.items, 1):
            prefix = f"{self._prefix}{name}[{position}]."
            if isinstance(item, tree.Mapping):
                found.append(Record(item, self.place, self._faults, prefix))
            else:
                self.fault(f"{name}[{position}]", "Write fields and values here.", item.row)
        return found

    def values(self, name: str) -> dict[str, tuple[int, str]]:
        """A table of single values: row and text by key."""
        node = self._given(name)
        if node is None:
            return {}
        if not isinstance(node, tree.Mapping):
            self.fault(name, "Write fields and values here.", node.row)
            return {}
        inner = Record(node, self.place, self._faults, f"{self._prefix}{name}.")
        found = {}
        for key, value in node.entries.items():
            if isinstance(value, tree.Scalar):
                found[key] = (value.row, value.text)
            else:
                inner.fault(key[:60], "Write one value here, not a list or a table.", value.row)
        return found

    def as_text(self) -> dict[str, object]:
        """Every field that is given, as it was written; None for a list or a table."""
        given = {name: self._given(name) for name in self._node.entries}
        return {
            name: node.text if isinstance(node, tree.Scalar) else []
            for name, node in given.items()
            if node is not None
        }

    def row_of(self, name: str) -> int | None:
        """The row of a field, None where it is absent."""
        node = self._node.entries.get(name)
        return None if node is None else node.row

    @property
    def stand_in(self) -> str:
        """A name no record has, for one whose own could not be read."""
        return f"?{self.place.file}:{self.place.row}"

    def _given(self, name: str) -> tree.Node | None:
        node = self._node.entries.get(name)
        return None if isinstance(node, tree.Scalar) and node.is_null else node
