"""What PostgreSQL and SQLite spell differently: lists, sets of rows and times as parameters."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.db import connection

BATCH = 500
"""Rows per write transaction: SQLite's other writers wait for the whole of it."""

LONGEST_TEXT = 300
"""Length of the text columns that hold peers' and our own sentences."""


def is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def within(column: str) -> str:
    """A condition with one parameter, made by `listed`: the column is one of these ids."""
    if is_postgresql():
        return f"{column} = ANY(%s)"
    return f"{column} IN (SELECT value FROM json_each(%s))"


def listed(ids: Iterable[int]) -> str:
    """The parameter of `within`: one text, which PostgreSQL reads sooner than 500 constants."""
    together = ",".join(map(str, ids))
    return f"{{{together}}}" if is_postgresql() else f"[{together}]"


def rows(columns: Mapping[str, str]) -> str:
    """A table `x` of one parameter, made by `packed`; `columns` gives PostgreSQL's types."""
    if is_postgresql():
        typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        return f"json_to_recordset(%s::json) AS x({typed})"
    picked = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
    return f"(SELECT {picked} FROM json_each(%s)) AS x"


# Made once: `json.dumps` makes one for each call that asks for anything special.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def packed(records: Sequence[Mapping[str, Any]]) -> str:
    """The parameter of `rows`."""
    return _ENCODER.encode(records)


def stamp(at: float | None) -> str | None:
    """Unix seconds as text for a point in time: as SQLite stores it, in UTC.

    PostgreSQL reads it so too, because Django's connections speak UTC.
    """
    if at is None:
        return None
    second = math.floor(at)
    micro = round((at - second) * 1e6)
    if micro == 0:
        return _second(second)
    return f"{_second(second)}.{micro:06d}" if micro < 1_000_000 else _second(second + 1)


@lru_cache(maxsize=4096)
def _second(at: int) -> str:
    """A whole second as text. A batch of results has a dozen times each, nearly all of few."""
    return str(datetime.fromtimestamp(at, UTC))[:-6]


def server_label(table: str) -> str:
    """A server's name as pages show it (`str(Server)`), in SQL."""
    return (
        f"CASE WHEN {table}.name <> '' THEN {table}.name ELSE {table}.address || "
        f"CASE WHEN {table}.port > 0 THEN ':' || {table}.port ELSE '' END END"
    )


def token_text(token: str) -> str:
    """A UUID's 32 hex digits: how SQLite stores it and PostgreSQL reads it."""
    return token.replace("-", "")


def text(value: str) -> str:
    """A peer's words as every database takes them: no NUL, no lone surrogate, 300 characters."""
    plain = value.replace("\x00", "")[:LONGEST_TEXT]
    return plain if plain.isascii() else plain.encode("utf-8", "replace").decode()


def document(value: Mapping[str, Any]) -> str:
    """A snapshot as JSON text that every database takes (see `text`)."""
    plain = _ENCODER.encode(value)
    if "\\u0000" in plain:
        plain = _ENCODER.encode(_without_nul(value))
    return plain if plain.isascii() else plain.encode("utf-8", "replace").decode()


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, Mapping):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nul(item) for item in value]
    return value


def changed(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run one writing statement and return the rows of its RETURNING clause, if it has one."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def lock_in_order(ids: Iterable[int]) -> None:
    """Lock these registrations by id. Call it first in the transaction that writes them.

    Whoever writes many rows locks them in this order, so that no two wait for each other.
    SQLite has one writer at a time and nothing to order.
    """
    if is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM registrations_registration WHERE {within('id')} "
                "ORDER BY id FOR NO KEY UPDATE",
                [listed(ids)],
            )
