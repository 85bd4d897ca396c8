"""Which migrations this version has, and which of them the database lacks."""

import logging
import time
from collections.abc import Callable

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader

logger = logging.getLogger(__name__)

PAUSE_S = 2.0
SAID_EVERY = 15
"""Looks between two lines in the log."""

Migration = tuple[str, str]


def known() -> set[Migration]:
    """Return every migration this version has."""
    return set(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)


def missing() -> list[Migration]:
    """Return what the database lacks; more than this version knows is no harm. DatabaseError."""
    return sorted(known() - set(MigrationLoader(connection).applied_migrations))


def wait_for_tables(pause: Callable[[float], None] = time.sleep) -> None:
    """Return when the database has every table of this version: a newer worker waits for them.

    A database that cannot be asked is no reason to wait: whoever works goes on trying anyway.
    """
    looks = 0
    while True:
        try:
            lacks = missing()
        except DatabaseError:
            return
        finally:
            connection.close()
        if not lacks:
            return
        if looks % SAID_EVERY == 0:
            logger.warning(
                "waiting: the database lacks the migration %s; run 'manage.py prepare' with this "
                "version",
                ".".join(lacks[0]),
            )
        looks += 1
        pause(PAUSE_S)
