"""The file: a ZIP of one JSON-lines member per table, and the manifest that says what they hold.

Written and read as streams: of a table of any size one row is in memory.
"""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

FORMAT = 1
"""Grows when an older Rollcall could not read what a newer one writes."""

MANIFEST = "manifest.json"
CHUNK = 1 << 20


class Refused(Exception):
    """Nothing was changed; the text is the sentence that says why."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column and what its values are in the archive (see `tables.KINDS`)."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table in the archive. `last_id`: the highest id it ever gave; None: it gives none."""

    name: str
    columns: tuple[Column, ...]
    rows: int = 0
    sha256: str = ""
    last_id: int | None = None

    @property
    def member(self) -> str:
        return f"{self.name}.jsonl"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says of itself."""

    made_at: float
    """Unix seconds of the one moment it shows."""
    database: str
    migrations: tuple[tuple[str, str], ...]
    """The (app, migration) applied: the shape of the tables."""
    tables: tuple[Table, ...]
    format: int = FORMAT

    def rows_of(self, table: str) -> int:
        return next((each.rows for each in self.tables if each.name == table), 0)

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Raises Refused for what is no manifest, or that of a newer Rollcall."""
        try:
            given = json.loads(data)
            if int(given["format"]) > FORMAT:
                raise Refused(
                    "The archive was made by a newer Rollcall, in a form that this one cannot "
                    "read: restore it with that version or a newer one."
                )
            tables = tuple(
                Table(**{**each, "columns": tuple(Column(*pair) for pair in each["columns"])})
                for each in given["tables"]
            )
            migrations = tuple((app, name) for app, name in given["migrations"])
            made_at, database = float(given["made_at"]), str(given["database"])
        except (ValueError, KeyError, TypeError) as error:
            raise Refused("The archive's manifest cannot be read: it is damaged.") from error
        return cls(made_at, database, migrations, tables, int(given["format"]))

    def written(self) -> bytes:
        given = asdict(self)
        for table in given["tables"]:
            table["columns"] = [[each["name"], each["kind"]] for each in table["columns"]]
        return json.dumps(given, indent=1, ensure_ascii=False).encode()


class Writer:
    """Fills a new archive table by table; `close` writes the manifest."""

    def __init__(self, file: Any) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3)
        self._tables: list[Table] = []

    def add(self, table: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Write one table's rows, values as JSON has them."""
        digest, count = hashlib.sha256(), 0
        encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
        with self._zip.open(table.member, "w", force_zip64=True) as member:
            for row in rows:
                line = encode(row).encode() + b"\n"
                digest.update(line)
                member.write(line)
                count += 1
        self._tables.append(replace(table, rows=count, sha256=digest.hexdigest()))

    def close(self, about: Manifest) -> Manifest:
        """Write the manifest, with the tables as they were written."""
        manifest = replace(about, tables=tuple(self._tables))
        self._zip.writestr(MANIFEST, manifest.written())
        self._zip.close()
        return manifest


class Reader:
    """An archive to be restored. Raises Refused for what is none, or not whole."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
            self.manifest = Manifest.read(self._zip.read(MANIFEST))
        except OSError as error:
            raise Refused(f"{path} cannot be read: {error.strerror}.") from error
        except (zipfile.BadZipFile, KeyError, zlib.error) as error:
            raise Refused(
                f"{path} is no archive of Rollcall, or not all of it: it was cut short or damaged."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def verify(self) -> None:
        """See that every table is there as it was written, before anything is done with it."""
        for table in self.manifest.tables:
            digest = hashlib.sha256()
            try:
                with self._zip.open(table.member) as member:
                    while data := member.read(CHUNK):
                        digest.update(data)
            except (KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
                raise Refused(f"The archive is damaged: {table.name} cannot be read.") from error
            if digest.hexdigest() != table.sha256:
                raise Refused(f"The archive is damaged: {table.name} is not what was written.")

    def rows(self, table: Table) -> Iterator[list[Any]]:
        """Yield the rows of a table as they were written."""
        with self._zip.open(table.member) as member:
            for line in member:
                yield json.loads(line)


@contextmanager
def new_file(path: Path) -> Iterator[Any]:
    """A file for the owner alone (0600) that has its name only once it is whole.

    Raises Refused where something has that name already, OSError.
    """
    if path.exists():
        raise Refused(f"{path} is there already: give another name, or remove it.")
    if not path.parent.is_dir():
        raise Refused(f"There is no folder {path.parent}: make it first.")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    unfinished.unlink(missing_ok=True)
    try:
        with os.fdopen(
            os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
        ) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
