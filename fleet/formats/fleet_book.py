"""The fleet as a workbook (.xlsx): a sheet of handsets, and those of all else a fleet file has.

A workbook none of whose sheets has one of these names is a table of handsets: its first sheet.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from fleet.formats import fleet_file, handset_csv, tree, workbook
from fleet.formats.decoding import MAX_BYTES, Unreadable
from fleet.formats.faults import Fault, Place
from fleet.formats.rows import FleetRows
from fleet.formats.workbook import Row

SITES, GROUPS, SERVERS = "Sites", "Groups", "Servers"
RECORDS, HANDSETS = "DNS records", "Handsets"
SHEETS = (SITES, GROUPS, SERVERS, RECORDS, HANDSETS)

NESTED = ((SERVERS, "servers"), (RECORDS, "dns_cache"))
"""Sheets whose rows belong to a group, and the field they are there."""
GROUP = "group"
"""The column of servers and DNS records that names whose they are."""


def read(file: str, data: bytes) -> tuple[FleetRows, list[Fault]]:
    """Return what the workbook says, and every fault found. Only without faults is it to be used.

    A fault's file names the sheet too: `fleet.xlsx, Groups`.
    """
    try:
        if len(data) > MAX_BYTES:
            raise Unreadable(f"The file is larger than {MAX_BYTES // 1024 // 1024} MiB.")
        given = {name.strip().lower(): rows for name, rows in workbook.read(data).items()}
    except Unreadable as error:
        return FleetRows(), [Place(file).fault("", str(error), error.row)]
    known = {sheet: given[sheet.lower()] for sheet in SHEETS if sheet.lower() in given}
    if not known:
        known = {HANDSETS: next(iter(given.values()))}
    faults: list[Fault] = []
    parts: list[FleetRows] = []
    for sheet in (SITES, GROUPS):
        place = Place(f"{file}, {sheet}")
        records = _records(place, known.get(sheet, []), faults)
        if sheet == GROUPS:
            _nest(file, known, records, faults)
        rows, wrong = fleet_file.read_records(place, {sheet.lower(): records})
        parts.append(rows)
        faults += [_where_it_stands(file, fault) for fault in wrong]
    if known.get(HANDSETS):
        rows, wrong = handset_csv.read_rows(Place(f"{file}, {HANDSETS}"), _padded(known[HANDSETS]))
        parts.append(rows)
        faults += wrong
    found = FleetRows.joined(parts)
    if not faults and not found:
        faults.append(Place(file).fault("", "The workbook names no site, group or handset."))
    return found, faults


def _padded(rows: list[Row]) -> Iterator[Row]:
    """Rows as long as the header: a sheet leaves out the empty cells at their end."""
    width = len(rows[0][1])
    return ((number, cells + [""] * (width - len(cells))) for number, cells in rows)


def _records(place: Place, rows: list[Row], faults: list[Fault]) -> list[tree.Mapping]:
    """Each row below the header as a record of the fleet file; empty cells say nothing."""
    if not rows:
        return []
    number, first = rows[0]
    header = [name.strip().lower() for name in first]
    doubled = {name for name in header if name and header.count(name) > 1}
    faults += [place.fault(name, "This column stands here twice.", number) for name in doubled]
    return [_record(row, header, cells) for row, cells in rows[1:] if any(map(str.strip, cells))]


def _record(row: int, header: list[str], cells: list[str]) -> tree.Mapping:
    found = tree.Mapping(row)
    policy = tree.Mapping(row)
    for number, cell in enumerate(cells):
        name = header[number] if number < len(header) else f"column {number + 1}"
        if not cell.strip():
            continue
        into = policy if name.startswith("policy.") else found
        into.entries[name.removeprefix("policy.")] = _node(row, name, cell)
    if policy.entries:
        found.entries["policy"] = policy
    return found


def _node(row: int, name: str, cell: str) -> tree.Node:
    if name == "lost_features":
        words = [tree.Scalar(row, word, False) for word in cell.split(";")]
        return tree.Sequence(row, list(words))
    return tree.Scalar(row, cell, False)


def _nest(
    file: str,
    known: Mapping[str, list[Row]],
    groups: list[tree.Mapping],
    faults: list[Fault],
) -> None:
    """Put servers and records into their groups: a sheet that is there says all of them."""
    by_name = {node.text.strip(): each for each in groups if (node := _scalar(each, "name"))}
    for sheet, name in NESTED:
        if sheet not in known:
            continue
        place = Place(f"{file}, {sheet}")
        for each in groups:
            each.entries[name] = tree.Sequence(each.row)
        for record in _records(place, known[sheet], faults):
            whose = _scalar(record, GROUP)
            group = None if whose is None else by_name.get(whose.text.strip())
            if group is None:
                message = f"Name a group of the sheet {GROUPS}."
                faults.append(place.fault(GROUP, message, record.row))
                continue
            del record.entries[GROUP]
            into = group.entries[name]
            if isinstance(into, tree.Sequence):
                into.items.append(record)


def _where_it_stands(file: str, fault: Fault) -> Fault:
    """A row says which record is meant; servers and DNS records stand on sheets of their own."""
    field = fault.field.partition("].")[2] or fault.field
    for sheet, name in NESTED:
        if field.startswith(f"{name}["):
            return replace(fault, file=f"{file}, {sheet}", field=field.partition("].")[2])
    return replace(fault, field=field)


def _scalar(record: tree.Mapping, name: str) -> tree.Scalar | None:
    node = record.entries.get(name)
    return node if isinstance(node, tree.Scalar) else None
