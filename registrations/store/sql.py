"""What PostgreSQL and SQLite spell differently, beside `fleet.sql`: times, peers' words, locks."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.db import connection

from fleet.sql import ENCODER, changed, is_postgresql, listed, packed, rows, within

__all__ = ["changed", "is_postgresql", "listed", "packed", "rows", "within"]

BATCH = 500
"""Rows per write transaction: SQLite's other writers wait for the whole of it."""

LONGEST_TEXT = 300
"""Length of the text columns that hold peers' and our own sentences."""


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


def seconds(spelled: str) -> float | None:
    """Unix seconds of a point in time as a database spells it: the opposite of `stamp`."""
    if not spelled:
        return None
    found = datetime.fromisoformat(spelled)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


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
    plain = ENCODER.encode(value)
    if "\\u0000" in plain:
        plain = ENCODER.encode(_without_nul(value))
    return plain if plain.isascii() else plain.encode("utf-8", "replace").decode()


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, Mapping):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nul(item) for item in value]
    return value


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
