"""A limit on how long a question to the database may take."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from django.db import OperationalError, connection, transaction

CANCELLED = "57014"
"""PostgreSQL's code for a statement that was cancelled."""

STEPS = 20_000
"""How many steps of its virtual machine SQLite takes between two looks at the clock."""


class TooLong(Exception):
    """The answer would have taken longer than allowed."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let what is asked inside take `seconds` together at most (each, on PostgreSQL).

    Raises TooLong. Only for reading: what was begun is rolled back.
    """
    ask = _postgresql if connection.vendor == "postgresql" else _sqlite
    try:
        with ask(seconds):
            yield
    except OperationalError as failed:
        code = getattr(failed.__cause__, "pgcode", None)
        if code == CANCELLED or str(failed) == "interrupted":
            raise TooLong from failed
        raise


@contextmanager
def by_index() -> Iterator[None]:
    """Have PostgreSQL look each line's last change up, one by one.

    Of a history that is not very long it would rather read all; that takes three times as long.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_hashjoin = off")
        yield
        cursor.execute("SET LOCAL enable_hashjoin TO DEFAULT")


@contextmanager
def _postgresql(seconds: float) -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        # Helpers take longer to start than most of this takes.
        cursor.execute(
            "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL statement_timeout = %s",
            [max(1, int(seconds * 1000))],
        )
        yield
        cursor.execute("SET LOCAL statement_timeout TO DEFAULT")


@contextmanager
def _sqlite(seconds: float) -> Iterator[None]:
    connection.ensure_connection()
    ends = monotonic() + seconds
    connection.connection.set_progress_handler(lambda: monotonic() > ends, STEPS)
    try:
        yield
    finally:
        connection.connection.set_progress_handler(None, 0)
