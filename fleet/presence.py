"""Whether there are rows of several kinds, for looks that come each second and as a rule find none.

One statement for all of them, compiled once: to compile a query takes Django longer than to ask it.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from fleet import reach

Kind = Callable[[], QuerySet[Any]]
"""Returns the rows of a kind. They are the same at any time: what it says of time is kept."""


class Presence:
    """The kinds, by name."""

    def __init__(self, **kinds: Kind) -> None:
        self.kinds = kinds

    def seen(self) -> frozenset[str]:
        """Return the names of those of which there is a row."""
        sql, parameters = _compiled(connection.vendor, tuple(self.kinds.values()))
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            found = cursor.fetchone()
        return frozenset(name for name, is_there in zip(self.kinds, found, strict=True) if is_there)


@cache
def _compiled(vendor: str, kinds: tuple[Kind, ...]) -> tuple[str, list[Any]]:
    parts, parameters = [], list[Any]()
    # Whoever asks first must not narrow it for all who ask later.
    with reach.everything():
        for kind in kinds:
            one = kind().query.exists().get_compiler(connection=connection)
            sql, given = one.as_sql()
            parts.append(f"EXISTS({sql})")
            parameters += given
    return f"SELECT {', '.join(parts)}", parameters
