"""What is wrong with something a person wrote: where it stands, and a sentence."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record begins."""

    file: str
    row: int | None = None
    """Line of the file, from 1; None where the file as a whole is meant."""

    def fault(self, field: str, message: str, row: int | None = None) -> "Fault":
        return Fault(self.file, self.row if row is None else row, field, message)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that keeps a file from being imported."""

    file: str
    row: int | None
    field: str
    """The column or key, dotted inside a record ("policy.expires"); '' for the whole."""
    message: str

    def __str__(self) -> str:
        where = [self.file]
        if self.row is not None:
            where.append(f"row {self.row}")
        if self.field:
            where.append(self.field)
        return f"{', '.join(where)}: {self.message}"


def in_order(faults: list[Fault]) -> list[Fault]:
    """Each fault once, by file and row; faults without a row come first in their file."""
    return sorted(set(faults), key=lambda f: (f.file, f.row or 0, f.field, f.message))
