"""Restores an archive into an empty installation, or moves in from the embedded database.

All of it or nothing: what goes wrong leaves the database as empty as it was.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import DataError, IntegrityError, connection, transaction

from fleet.people import ApiToken
from registrations.backup import awakening, filling, keys, migrated, tables
from registrations.backup.archive import Manifest, Reader, Refused, Table
from registrations.backup.making import manifest_of
from registrations.backup.snapshot import Snapshot, key_of, rows, snapshot_of_file


@dataclass(frozen=True, slots=True)
class Restored:
    """What is here now."""

    manifest: Manifest
    tokens: int
    waiting: int = 0
    """Lines that wait until somebody says go."""


def restore(path: Path, keys_path: Path | None, *, waiting: bool = False) -> Restored:
    """Fill this empty installation from an archive; where everybody is, is unknown until heard.

    With `waiting` nobody registers until somebody says go. Raises Refused, django.db.Error.
    """
    held = 0

    def awaken() -> None:
        nonlocal held
        awakening.forget_places(reader.manifest.made_at)
        held = awakening.let_wait() if waiting else 0

    with Reader(path) as reader:
        migrated.check(reader.manifest)
        if not migrated.is_bare():
            filling.check_empty()
        kept = keys.Keys.read(keys_path) if keys_path else keys.Keys()
        reader.verify()
        migrated.bring_to(reader.manifest)
        if migrated.is_older(reader.manifest):
            with _whole():
                filling.fill(reader, keys.opener(kept))
                _take_tokens(kept)
                filling.put_to_rest()
            migrated.bring_up()
            with transaction.atomic():
                awaken()
        else:
            _take_in(reader, kept, awaken)
        return Restored(reader.manifest, ApiToken.objects.count(), held)


def move_from(folder: Path) -> Restored:
    """Take in everything of the embedded database in `folder`, a DATA_DIR that is not running.

    Agents go on as after a restart: nothing is unknown that was not. Raises Refused,
    django.db.Error.
    """
    file = folder / "rollcall.sqlite3"
    if not file.is_file():
        raise Refused(f"{folder} holds no embedded database (rollcall.sqlite3).")
    if Path(connection.settings_dict["NAME"]).resolve() == file.resolve():
        raise Refused("That is this installation's own database: set DATABASE_URL to the new one.")
    with snapshot_of_file(file) as found:
        source = _Direct(found)
        key = _key_in(folder)
        kept = keys.Keys((key,) if key else ())
        migrated.bring_up()
        _take_in(source, kept, awakening.forget_leases)
        return Restored(source.manifest, ApiToken.objects.count())


def _take_in(source: filling.Source, kept: keys.Keys, awaken: Callable[[], None]) -> None:
    with _whole():
        filling.lock()
        filling.check_empty()
        filling.empty()
        filling.fill(source, keys.opener(kept))
        awaken()


class _Direct:
    """Another database as a source."""

    def __init__(self, found: Snapshot) -> None:
        self._found = found
        self._keys = {model._meta.db_table: key_of(model) for model in tables.archived()}
        self.manifest = manifest_of(found)

    def rows(self, table: Table) -> Iterator[list[Any]]:
        return rows(self._found, table, self._keys[table.name])


def _take_tokens(kept: keys.Keys) -> None:
    by_name = {"key": 0, "user_id": 1, "created": 2}
    table = tables.token_table()
    places = [by_name[column.name] for column in table.columns]
    filling.write(table, ([token[place] for place in places] for token in kept.tokens), str)


def _key_in(folder: Path) -> str:
    """The key of the embedded installation; '' where it was given one of our own."""
    path = folder / "keys" / "credentials_key"
    return path.read_text().strip() if path.is_file() else ""


@contextmanager
def _whole() -> Iterator[None]:
    """One transaction. Raises Refused where a row does not fit."""
    try:
        with transaction.atomic():
            yield
    except (DataError, IntegrityError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise Refused(f"A row does not fit ({reason}): nothing was restored.") from error
