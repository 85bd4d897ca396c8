"""A CSV written by PostgreSQL itself: COPY of a query whose values are cells already.

Python only hands the bytes on, through a pipe: a client that reads slowly makes the
database wait, and nothing piles up in memory.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.db import connection
from django.db.models import CharField, Func, QuerySet

READ = 1 << 18
"""Bytes written and read at a time."""

PIPE = 1 << 20
"""Bytes the pipe holds, so that its two ends seldom wait for each other."""


class IsoCell(Func):
    """A time as `cells.iso_cell` writes it: PostgreSQL's own text, as all sessions are in UTC."""

    template = "(replace(%(expressions)s::text, ' ', 'T') || ':00')"
    output_field = CharField()


class SafeCell(Func):
    """A text as `cells.safe_cell` writes it, '' as an empty cell.

    Nearly every text is known to be harmless by one or two comparisons of bytes: `=` and `@` come
    after the digits and before the letters, the others before the digits.
    """

    template = (
        "CASE WHEN %(expressions)s COLLATE \"C\" >= '.' AND (%(expressions)s COLLATE \"C\" < '=' "
        "OR %(expressions)s COLLATE \"C\" >= 'A') THEN %(expressions)s "
        "WHEN %(expressions)s = '' THEN NULL "
        "WHEN left(%(expressions)s, 1) IN ('=', '+', '-', '@', E'\\t', E'\\r') "
        "THEN '''' || %(expressions)s ELSE %(expressions)s END"
    )
    output_field = CharField()


def copied(rows: QuerySet[Any, Any]) -> Iterator[bytes]:
    """Yield the rows as CSV. Only on PostgreSQL; the query runs on a connection of its own."""
    read_end, write_end = os.pipe()
    with suppress(AttributeError, OSError):  # Linux only, and an admin may have set a lower limit
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, PIPE)
    copying = _Copying(rows, write_end)
    copying.start()
    try:
        while data := os.read(read_end, READ):
            yield data
    finally:
        # Whoever stops reading thereby stops the query: its next write fails.
        os.close(read_end)
        copying.join()
    if copying.failed is not None:
        raise copying.failed


class _Copying(threading.Thread):
    def __init__(self, rows: QuerySet[Any, Any], write_end: int) -> None:
        super().__init__(name="export-copy", daemon=True)
        self._rows = rows
        self._write_end = write_end
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            with os.fdopen(self._write_end, "wb", buffering=READ) as pipe:
                self._copy(pipe)
        except Exception as failed:
            self.failed = failed
        finally:
            connection.close()

    def _copy(self, pipe: Any) -> None:
        sql, params = self._rows.query.sql_with_params()
        with connection.cursor() as cursor:
            asked = cursor.cursor.mogrify(sql, params).decode()
            cursor.cursor.copy_expert(f"COPY ({asked}) TO STDOUT WITH (FORMAT csv)", pipe)
