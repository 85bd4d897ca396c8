"""Makes a backup: every table as it stood at one moment, and the keys in a file of their own."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models

from fleet.versions import known
from registrations.backup import keys, tables
from registrations.backup.archive import Manifest, Refused, Writer, new_file
from registrations.backup.snapshot import Snapshot, key_of, rows, snapshot
from registrations.backup.tables import table_of


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made."""

    manifest: Manifest
    bytes: int


def back_up(path: Path, keys_path: Path) -> Made:
    """Write the archive and, apart from it, its keys. Raises Refused, OSError, django.db.Error."""
    with snapshot() as found, new_file(keys_path) as keys_file, new_file(path) as file:
        ours = tuple(key.decode() for key in settings.CREDENTIALS_KEYS)
        keys_file.write(keys.Keys(ours).written())
        manifest = write(found, file)
    return Made(manifest, path.stat().st_size)


def write(found: Snapshot, file: Any) -> Manifest:
    """Write the archive of a database. Raises Refused where its tables are not as we know them."""
    about = manifest_of(found, counted=False)
    writer = Writer(file)
    for model, table in zip(tables.archived(), about.tables, strict=True):
        writer.add(table, rows(found, table, key_of(model)))
    return writer.close(about)


def manifest_of(found: Snapshot, *, counted: bool = True) -> Manifest:
    """Return what a database holds, with how many rows if `counted`.

    Raises Refused where its tables are not as this version knows them.
    """
    migrations = applied(found)
    if missing := sorted(known() - set(migrations)):
        raise Refused(
            f"The database lacks the migration {'.'.join(missing[0])}: start this version of "
            "Rollcall on it once, or run 'manage.py migrate', and try again."
        )
    made_at, listed = time.time(), []
    for model in tables.archived():
        count = _count(found, model) if counted else 0
        listed.append(table_of(model, rows=count, last_id=found.last_id(model)))
    return Manifest(made_at, found.vendor, tuple(migrations), tuple(listed))


def _count(found: Snapshot, model: type[models.Model]) -> int:
    ((count,),) = found.ask(f'SELECT count(*) FROM "{model._meta.db_table}"')
    return int(count)


def applied(found: Snapshot) -> list[tuple[str, str]]:
    """Return the migrations of a database, in the order in which they were applied."""
    asked = found.ask("SELECT app, name FROM django_migrations ORDER BY id")
    return [(str(app), str(name)) for app, name in asked]
