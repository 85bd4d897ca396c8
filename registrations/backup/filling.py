"""Fills an empty database from an archive, in one transaction, and sees that all of it is there."""

import base64
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import psycopg2
from django.contrib.auth import get_user_model
from django.db import connection

from fleet import append_only
from fleet.models import Handset, ServerGroup, Site
from registrations.backup import tables
from registrations.backup.archive import Manifest, Refused, Table
from registrations.models import Transition

BATCH = 1000

Opener = Callable[[str], str]


class Source(Protocol):
    """Where rows come from: an archive, or another database."""

    manifest: Manifest

    def rows(self, table: Table) -> Iterator[list[Any]]: ...


def check_empty() -> None:
    """See that there is nothing here to lose. Raises Refused."""
    held = [
        f"{count} {name}"
        for model, name in (
            (Handset, "handsets"),
            (ServerGroup, "groups"),
            (Site, "sites"),
            (Transition, "changes of history"),
        )
        if (count := model._default_manager.count())
    ]
    # The first admin, made when the database was, is replaced by the users of the archive.
    if (users := get_user_model()._default_manager.count()) > 1:
        held.append(f"{users} users")
    if held:
        raise Refused(
            f"This installation is not empty ({', '.join(held)}): an archive is restored into an "
            "empty one only. Give it a new database (DATABASE_URL) or a new folder (DATA_DIR)."
        )


def lock() -> None:
    """Keep everybody else out until the transaction is over; SQLite does so by itself."""
    if connection.vendor == "postgresql":
        _run(f"LOCK TABLE {', '.join(_ours())} IN ACCESS EXCLUSIVE MODE")
        # Checked row by row, nothing waits in memory for the end.
        _run("SET CONSTRAINTS ALL IMMEDIATE")


def empty() -> None:
    """Take away what a new installation makes by itself: its admin, roles and permissions."""
    if connection.vendor == "postgresql":
        _run(f"TRUNCATE {', '.join(_ours())}")
        return
    with append_only.lifted(connection):
        for name in reversed(_ours()):
            _run(f"DELETE FROM {name}")


def fill(source: Source, opened: Opener) -> None:
    """Write every table and compare its rows with the manifest. Raises Refused, django.db.Error."""
    for table in source.manifest.tables:
        write(table, source.rows(table), opened)
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT count(*) FROM "{table.name}"')
            (there,) = cursor.fetchone()
        if there != table.rows:
            raise Refused(
                f"{table.name} has {there} rows and should have {table.rows}: nothing was restored."
            )
        if table.last_id is not None:
            _go_on_from(table)


def put_to_rest() -> None:
    """Let nobody take up a registration, whoever runs already, before it is known what it means."""
    _run("UPDATE registrations_registration SET due_at = NULL, lease_token = NULL")


def write(table: Table, rows: Iterable[Sequence[Any]], opened: Opener) -> None:
    """Write the rows of one table."""
    read = [
        (place, opened if column.kind == tables.SECRET else _READ[column.kind])
        for place, column in enumerate(table.columns)
        if column.kind == tables.SECRET or column.kind in _READ
    ]
    known = (_values(row, read) for row in rows)
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor, connection.wrap_database_errors:
            lines = _Lines(known)
            try:
                cursor.copy_expert(f'COPY "{table.name}" ({names}) FROM STDIN', lines)
            except psycopg2.Error as error:
                # What stopped the reading is told, not that something did.
                raise lines.refused or error from None
        return
    marks = ", ".join(["%s"] * len(table.columns))
    insert = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'
    with connection.cursor() as cursor:
        while batch := list(itertools.islice(known, BATCH)):
            cursor.executemany(insert, batch)


def _values(row: Sequence[Any], read: Sequence[tuple[int, Callable[[Any], Any]]]) -> list[Any]:
    values = list(row)
    for place, reader in read:
        if values[place] is not None:
            values[place] = reader(values[place])
    return values


_READ: dict[str, Callable[[Any], Any]] = {"bytes": base64.b64decode}


class _Lines:
    """Rows as COPY's text format, read piece by piece."""

    def __init__(self, rows: Iterator[list[Any]]) -> None:
        self._rows = rows
        self._rest = b""
        self.refused: Refused | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._read(size)
        except Refused as refused:
            self.refused = refused
            raise

    def _read(self, size: int) -> bytes:
        parts, length = [self._rest], len(self._rest)
        while size < 0 or length < size:
            row = next(self._rows, None)
            if row is None:
                break
            line = ("\t".join(map(_cell, row)) + "\n").encode()
            parts.append(line)
            length += len(line)
        data = b"".join(parts)
        end = len(data) if size < 0 else size
        self._rest = data[end:]
        return data[:end]


_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def _cell(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        return f"\\\\x{value.hex()}"
    return str(value).translate(_ESCAPES)


def _go_on_from(table: Table) -> None:
    """Give no id a second time, not even one whose row is gone: the history names them."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table.name])
            (sequence,) = cursor.fetchone()
            last = table.last_id or 0
            cursor.execute("SELECT setval(%s, %s, %s)", [sequence, max(last, 1), last > 0])
        return
    _run("DELETE FROM sqlite_sequence WHERE name = %s", [table.name])
    _run("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table.name, table.last_id])


def _ours() -> list[str]:
    there = set(connection.introspection.table_names())
    names = [model._meta.db_table for model in tables.all_models()]
    return [f'"{name}"' for name in names if name in there]


def _run(sql: str, parameters: Sequence[Any] = ()) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
