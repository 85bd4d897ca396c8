"""Sets of rows and lists as one parameter, which PostgreSQL and SQLite spell differently."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection


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
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def packed(records: Sequence[Mapping[str, Any]]) -> str:
    """The parameter of `rows`."""
    return ENCODER.encode(records)


def changed(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run one writing statement and return the rows of its RETURNING clause, if it has one."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []
