"""Encrypts everything that is stored under CREDENTIALS_KEY anew under its first key.

In short transactions, and only where nobody wrote meanwhile, so that workers and pages go on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.db import connection, models, transaction

from fleet.fields import EncryptedTextField
from fleet.models import ImportPart

BATCH = 500


@dataclass(slots=True)
class Progress:
    """How far one column is."""

    name: str
    total: int
    """Secrets in it when it was begun."""
    looked_at: int = 0
    rotated: int = 0
    closed: int = 0
    """Those that open with none of the keys."""


def rotate() -> Iterator[Progress]:
    """Yield the progress after each batch; the last one of a name says how it ended.

    Whatever is written meanwhile is under the first key already.
    """
    keys = [Fernet(key) for key in settings.CREDENTIALS_KEYS]
    for model, field in _encrypted():
        yield from _rotate(model, field, keys)


def _encrypted() -> Iterator[tuple[type[models.Model], Any]]:
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, EncryptedTextField):
                yield model, field
    yield ImportPart, ImportPart._meta.get_field("data")


def _rotate(model: type[models.Model], field: Any, keys: list[Fernet]) -> Iterator[Progress]:
    quote = connection.ops.quote_name
    table, column = quote(model._meta.db_table), quote(field.column)
    key = quote(model._meta.pk.column)  # type: ignore[union-attr]
    filled = f"length({column}) > 0"
    # Names come from our own models; values go as parameters.
    count = f"SELECT count(*) FROM {table} WHERE {filled}"  # noqa: S608
    read = (
        f"SELECT {key}, {column} FROM {table} WHERE {key} > %s AND {filled} ORDER BY {key} LIMIT %s"  # noqa: S608
    )
    write = f"UPDATE {table} SET {column} = %s WHERE {key} = %s AND {column} = %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(count)
        progress = Progress(f"{model._meta.verbose_name} {field.name}", cursor.fetchone()[0])
        last = 0
        while True:
            cursor.execute(read, [last, BATCH])
            rows = cursor.fetchall()
            if not rows:
                break
            last = rows[-1][0]
            anew = [(pk, stored, _anew(stored, keys, progress)) for pk, stored in rows]
            changed = [(new, pk, stored) for pk, stored, new in anew if new is not None]
            if changed:
                with transaction.atomic():
                    cursor.executemany(write, changed)
            progress.looked_at += len(rows)
            progress.rotated += len(changed)
            yield progress
    if not progress.total:
        yield progress


def _anew(stored: Any, keys: list[Fernet], progress: Progress) -> Any:
    """Return it under the first key; None where it is already, or opens with no key at all."""
    token = bytes(stored) if isinstance(stored, bytes | memoryview) else stored.encode()
    try:
        keys[0].decrypt(token)
        return None
    except InvalidToken:
        pass
    try:
        found = MultiFernet(keys).rotate(token)
    except InvalidToken:
        progress.closed += 1
        return None
    return found.decode() if isinstance(stored, str) else found
