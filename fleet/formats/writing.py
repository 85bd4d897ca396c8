"""The fleet as files that read as what they were written from: YAML, a table, a workbook's sheets.

The same fleet gives the same bytes. Passwords are in none of them unless the rows have them: what
a file leaves out stays as it is where it is imported.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from fleet.formats import fleet_book, spreadsheet
from fleet.formats.fleet_file import HANDSET, SERVER
from fleet.formats.rows import FleetRows, GroupRow, ServerRow

COLUMNS = tuple(name for name in HANDSET if name != "auth_password")
SITE = ("name", "time_zone", "has_own_workers")
PINS = ("tls_ca", "tls_certificate")
RECORD = (
    *("type", "name", "ttl", "address", "priority", "weight", "port", "target"),
    *("order", "preference", "flags", "service", "replacement"),
)

POLICY = "policy."
"""Before the name of a parameter that is a column."""

Sheet = list[list[Any]]

_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML takes for the end of a line, or not at all, although JSON takes it."""


def _columns(rows: FleetRows) -> tuple[str, ...]:
    """Return the columns of handsets, that of passwords where any row has one."""
    has_passwords = any(row.auth_password is not None for row in rows.handsets)
    return tuple(HANDSET) if has_passwords else COLUMNS


def to_yaml(rows: FleetRows) -> str:
    """Return the fleet file; texts are quoted, so that none is taken for something else."""
    lines = ["sites:"] if rows.sites else []
    lines += [f"  - {_flow(_values(site, SITE))}" for site in rows.sites]
    lines += ["groups:"] if rows.groups else []
    for group in rows.groups:
        lines += _group(group)
    lines += ["handsets:"] if rows.handsets else []
    columns = _columns(rows)
    lines += [f"  - {_flow(_values(handset, columns))}" for handset in rows.handsets]
    return "\n".join(lines) + "\n"


def _group(group: GroupRow) -> list[str]:
    head = _values(group, ("name", "mode", *PINS))
    lines = [f"    {name}: {_scalar(value)}" for name, value in head.items() if value]
    lines[0] = f"  - {lines[0].strip()}"
    lines.append("    servers:")
    lines += [f"      - {_flow(_server(server))}" for server in group.servers or ()]
    lines.append(f"    policy: {_flow(group.policy)}")
    if group.dns_cache:
        lines.append("    dns_cache:")
        lines += [f"      - {_flow(record.written())}" for record in group.dns_cache]
    return lines


def _flow(given: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {_scalar(value)}" for name, value in given.items()) + "}"


def _scalar(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_scalar, value)) + "]"
    return _UNSEEN.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(value, ensure_ascii=False))


def to_csv(rows: FleetRows) -> bytes:
    """Return the table of handsets; no spreadsheet takes a cell of it for a formula.

    Never with passwords, which are read as they stand, an apostrophe before them too.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        [spreadsheet.escaped(_cell(value)) for value in _values(row, COLUMNS).values()]
        for row in rows.handsets
    )
    return out.getvalue().encode()


def to_sheets(rows: FleetRows) -> dict[str, Sheet]:
    """Return the rows of each sheet of a workbook by its name, the header first."""
    columns = _columns(rows)
    policy = [*(rows.groups[0].policy if rows.groups else ())]
    servers = [(g.name, _server(s)) for g in rows.groups for s in g.servers or ()]
    records = [(g.name, r.written()) for g in rows.groups for r in g.dns_cache or ()]
    groups: Sheet = [["name", "mode", *PINS, *(POLICY + name for name in policy)]]
    for group in rows.groups:
        head = _values(group, ("name", "mode", *PINS)).values()
        groups.append([*map(_cell, head), *(_cell(group.policy[name]) for name in policy)])
    return {
        fleet_book.SITES: _table(SITE, (_values(site, SITE) for site in rows.sites)),
        fleet_book.GROUPS: groups,
        fleet_book.SERVERS: _owned(SERVER, servers),
        fleet_book.RECORDS: _owned(RECORD, records),
        fleet_book.HANDSETS: _table(columns, (_values(row, columns) for row in rows.handsets)),
    }


def _table(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> Sheet:
    names = list(columns)
    return [names, *([_cell(row.get(name)) for name in names] for row in rows)]


def _owned(columns: Iterable[str], rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Sheet:
    first, *others = _table(columns, (row for _, row in rows))
    named = ([name, *cells] for (name, _), cells in zip(rows, others, strict=True))
    return [[fleet_book.GROUP, *first], *named]


def _server(server: ServerRow) -> dict[str, Any]:
    return _values(server, SERVER)


def _values(row: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return ";".join(value)
    return "" if value is None else str(value)
