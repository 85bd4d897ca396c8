"""Django's SQLite backend; each write transaction waits in line for one file lock first."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

from fleet.config.sqlite.queue import Busy, WriteQueue

WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "CREATE", "DROP", "ALTER")
"""What a statement outside a transaction begins with if it may write."""


class Cursor(base.SQLiteCursorWrapper):
    """Lets a single writing statement in autocommit wait in line as well."""

    line: "DatabaseWrapper"

    def execute(self, query: str, params: Any = None) -> Any:
        with self.line.turn_for(query):
            return super().execute(query, params)

    def executemany(self, query: str, param_list: Any) -> Any:
        with self.line.turn_for(query):
            return super().executemany(query, param_list)


class DatabaseWrapper(base.DatabaseWrapper):
    """Holds the lock from BEGIN IMMEDIATE to commit, rollback or close."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._queue: WriteQueue | None = None

    def create_cursor(self, name: str | None = None) -> Cursor:
        cursor: Cursor = self.connection.cursor(factory=Cursor)
        cursor.line = self
        return cursor

    @contextmanager
    def turn_for(self, query: str) -> Iterator[None]:
        if self._inside_transaction() or not query.lstrip(" \n\t(").upper().startswith(WRITES):
            yield
            return
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _start_transaction_under_autocommit(self) -> None:
        self._enter()
        try:
            super()._start_transaction_under_autocommit()
        except BaseException:
            self._leave()
            raise

    def _commit(self) -> None:
        try:
            super()._commit()
        finally:
            self._leave_if_over()

    def _rollback(self) -> None:
        try:
            super()._rollback()
        finally:
            self._leave_if_over()

    def _close(self) -> None:
        try:
            super()._close()
        finally:
            if self._queue is not None:
                self._queue.close()
                self._queue = None

    def _inside_transaction(self) -> bool:
        return self.connection is not None and self.connection.in_transaction

    def _leave_if_over(self) -> None:
        # A commit that found the database busy leaves the transaction open: still our turn.
        if not self._inside_transaction():
            self._leave()

    def _enter(self) -> None:
        if self.is_in_memory_db():
            return
        if self._queue is None:
            timeout = float(self.settings_dict["OPTIONS"].get("timeout", 5.0))
            self._queue = WriteQueue(Path(self.settings_dict["NAME"]), timeout)
        try:
            self._queue.enter()
        except Busy as busy:
            cause = sqlite3.OperationalError("database is locked: no turn to write came in time")
            raise OperationalError(*cause.args) from busy

    def _leave(self) -> None:
        if self._queue is not None:
            self._queue.leave()
