"""What is left of an import when everything that has a fault is left out."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from fleet.formats.faults import Fault
from fleet.formats.rows import FleetRows, GroupRow, HandsetRow, SiteRow

Row = SiteRow | GroupRow | HandsetRow


@dataclass(slots=True)
class _Meant:
    """Of one file: rows at which records with faults begin; `is_whole` where none can be told."""

    begins: set[int] = field(default_factory=set)
    is_whole: bool = False


def without(rows: FleetRows, faults: Iterable[Fault]) -> FleetRows:
    """Return the rows that no fault stands in; what they refer to may be gone.

    A fault belongs to the last record that begins before it in its file. One that stands before all
    of them, or in no row at all, is the whole file's.
    """
    begins: dict[str, list[int]] = {}
    everything: tuple[Row, ...] = (*rows.sites, *rows.groups, *rows.handsets)
    for row in everything:
        begins.setdefault(row.place.file, []).append(row.place.row or 0)
    for each in begins.values():
        each.sort()
    meant: dict[str, _Meant] = {}
    for fault in faults:
        of_file = meant.setdefault(fault.file, _Meant())
        here = begins.get(fault.file, [])
        at = 0 if fault.row is None else bisect_right(here, fault.row)
        if at:
            of_file.begins.add(here[at - 1])
        else:
            of_file.is_whole = True

    def is_right(row: Row) -> bool:
        of_file = meant.get(row.place.file)
        if row.wrong:
            return False
        return of_file is None or not (of_file.is_whole or (row.place.row or 0) in of_file.begins)

    return FleetRows(
        tuple(row for row in rows.sites if is_right(row)),
        tuple(row for row in rows.groups if is_right(row)),
        tuple(row for row in rows.handsets if is_right(row)),
    )
