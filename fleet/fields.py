"""A text column encrypted at rest with CREDENTIALS_KEY; a question to ask of a list in a column."""

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import models
from django.db.models.lookups import Lookup


def _cipher() -> MultiFernet:
    return _cipher_of(tuple(settings.CREDENTIALS_KEYS))


@lru_cache(maxsize=4)
def _cipher_of(keys: tuple[bytes, ...]) -> MultiFernet:
    """Made once: a claim of 500 lines decrypts 500 passwords."""
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(plain: str) -> str:
    """Return `plain` encrypted under the first of CREDENTIALS_KEYS; '' stays ''."""
    return _cipher().encrypt(plain.encode()).decode() if plain else ""


def decrypt(stored: str) -> str:
    """Return what `encrypt` was given. Raises cryptography's InvalidToken under a wrong key."""
    return _cipher().decrypt(stored.encode()).decode() if stored else ""


def encrypt_bytes(plain: bytes) -> bytes:
    """As `encrypt`, of what is no text."""
    return _cipher().encrypt(plain)


def decrypt_bytes(stored: bytes) -> bytes:
    """Return what `encrypt_bytes` was given. Raises InvalidToken under a wrong key."""
    return _cipher().decrypt(stored)


class EncryptedTextField(models.TextField):
    """Holds the plain text in memory, the encrypted one in the database."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return None if value is None else decrypt(value)

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return None if value is None else encrypt(value)


@models.JSONField.register_lookup
class Holds(Lookup):
    """Of a JSON list: this text is in it. Django's own `contains` does not exist on SQLite."""

    lookup_name = "holds"
    prepare_rhs = False

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        # Only the column's own name is spliced in.
        sql = f"EXISTS (SELECT 1 FROM json_each({column}) WHERE value = %s)"  # noqa: S608
        return sql, [*params, self.rhs]

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} @> %s::jsonb", [*params, json.dumps([self.rhs])]
