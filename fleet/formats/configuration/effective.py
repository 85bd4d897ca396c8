"""What a handset's files say together: the leftmost file that sets a parameter wins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from fleet.formats.configuration.document import Document, Value
from fleet.formats.faults import Fault

T = TypeVar("T")


@dataclass(slots=True)
class Effective:
    """Looks values up by their names, which are given in lower case."""

    documents: Sequence[Document]
    notes: list[Fault] = field(default_factory=list)
    """What could not be taken as it stands, and what was taken instead."""

    def find(self, *names: str) -> Value | None:
        """Return the value of the first of these parameters that is set anywhere."""
        for name in names:
            for document in self.documents:
                value = document.values.get(name)
                if value is not None:
                    return value
        return None

    def text(self, *names: str) -> str:
        value = self.find(*names)
        return "" if value is None else value.text

    def read(self, reader: Callable[[str], T], otherwise: T, *names: str) -> T:
        """Return a value by `reader`; where that refuses it, note why and take `otherwise`."""
        value = self.find(*names)
        if value is None:
            return otherwise
        try:
            return reader(value.text)
        except ValueError as error:
            self.notes.append(value.fault(f"{error} {_instead(otherwise)}"))
            return otherwise


def _instead(otherwise: object) -> str:
    return f"Taken as the handset takes it: {otherwise}." if otherwise != "" else "It is left out."
