"""All tables of a database as they stood at one moment, whoever goes on writing."""

import base64
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from django.db import connection, models, transaction

from registrations.backup.archive import Table
from registrations.backup.tables import gives_ids

BATCH = 2000


class Snapshot(Protocol):
    """What is asked of either database."""

    vendor: str

    def ask(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query; never all of them in memory."""

    def last_id(self, model: type[models.Model]) -> int | None:
        """Return the highest id that table ever gave, also to rows that are gone."""


@contextmanager
def snapshot() -> Iterator[Snapshot]:
    """This installation's database."""
    if connection.vendor == "postgresql":
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                # PostgreSQL takes its snapshot with the first look.
                cursor.execute("SELECT 1")
            yield _Postgres()
    else:
        with snapshot_of_file(Path(connection.settings_dict["NAME"])) as found:
            yield found


@contextmanager
def snapshot_of_file(path: Path) -> Iterator[Snapshot]:
    """An SQLite file. Writers go on meanwhile; what they write is not seen."""
    address = f"{path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=20)) as opened:
        opened.execute("BEGIN")
        # SQLite takes its snapshot with the first look.
        opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield _Sqlite(opened)


class _Postgres:
    vendor = "postgresql"

    def ask(self, sql: str) -> Iterator[tuple[Any, ...]]:
        with connection.chunked_cursor() as cursor:
            cursor.execute(sql)
            while rows := cursor.fetchmany(BATCH):
                yield from rows

    def last_id(self, model: type[models.Model]) -> int | None:
        if not gives_ids(model):
            return None
        meta = model._meta
        with connection.cursor() as cursor:
            names = [meta.db_table, meta.pk.column]  # type: ignore[union-attr]
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", names)
            (sequence,) = cursor.fetchone()
            cursor.execute(f"SELECT last_value, is_called FROM {sequence}")
            last, is_called = cursor.fetchone()
        return int(last) if is_called else 0


class _Sqlite:
    vendor = "sqlite"

    def __init__(self, opened: sqlite3.Connection) -> None:
        self._opened = opened

    def ask(self, sql: str) -> Iterator[tuple[Any, ...]]:
        yield from self._opened.execute(sql)

    def last_id(self, model: type[models.Model]) -> int | None:
        if not gives_ids(model):
            return None
        found = self._opened.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = ?", [model._meta.db_table]
        ).fetchone()
        return int(found[0]) if found else 0


def key_of(model: type[models.Model]) -> str:
    """Return the column by which the rows of a model are ordered."""
    return str(model._meta.pk.column)  # type: ignore[union-attr]


def rows(found: Snapshot, table: Table, order: str) -> Iterator[list[Any]]:
    """Yield the rows of a table, values as the archive has them."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    told = [
        (place, _TOLD[column.kind])
        for place, column in enumerate(table.columns)
        if column.kind in _TOLD
    ]
    for found_row in found.ask(f'SELECT {names} FROM "{table.name}" ORDER BY "{order}"'):
        row = list(found_row)
        for place, tell in told:
            if row[place] is not None:
                row[place] = tell(row[place])
        yield row


def _time(value: Any) -> str:
    return value if isinstance(value, str) else str(value.replace(tzinfo=None))


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _uuid(value: Any) -> str:
    return UUID(str(value)).hex


def _bytes(value: Any) -> str:
    return base64.b64encode(value).decode()


_TOLD: dict[str, Callable[[Any], Any]] = {
    "time": _time,  # PostgreSQL's sessions are in UTC
    "clock": str,
    "bool": bool,
    "json": _json,
    "uuid": _uuid,
    "bytes": _bytes,
}
