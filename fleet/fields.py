"""A text column encrypted at rest with CREDENTIALS_KEY; two questions to ask of a column."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
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


def decrypt_all(stored: Iterable[str]) -> list[str]:
    """Return each of these as `decrypt` does, at a fifth of its cost. Raises InvalidToken.

    All that are under the first key share one decryptor. CBC joins a block with the one before it,
    and a token has its initialisation vector just before its text (the Fernet specification): so
    tokens in a row decrypt in one go, and the blocks that stood for vectors are left out. Each is
    authenticated before. What is under an older key, or under none, is left to `decrypt`.
    """
    tokens = list(stored)
    signing, encryption = _halves(settings.CREDENTIALS_KEYS[0])
    mac = HMAC(signing, SHA256())
    blocks = [_authentic(token, mac) for token in tokens]
    decryptor = Cipher(AES(encryption), CBC(bytes(_BLOCK))).decryptor()
    plain = decryptor.update(b"".join(blocks)) + decryptor.finalize()
    found, end = [], 0
    for token, block in zip(tokens, blocks, strict=True):
        begin, end = end + _BLOCK, end + len(block)
        found.append(plain[begin : end - plain[end - 1]].decode() if block else decrypt(token))
    return found


_BLOCK = 16
_HEAD, _SIGNATURE = 9, 32
"""Bytes of a token before its vector (version and time) and of its HMAC at the end."""


@lru_cache(maxsize=4)
def _halves(key: bytes) -> tuple[bytes, bytes]:
    both = urlsafe_b64decode(key)
    return both[:16], both[16:]


def _authentic(token: str, mac: HMAC) -> bytes:
    """Return vector and blocks of a token that was made under this key; b'' of any other text."""
    try:
        data = urlsafe_b64decode(token)
        signed = mac.copy()
        signed.update(data[:-_SIGNATURE])
        signed.verify(data[-_SIGNATURE:])
    except (ValueError, InvalidSignature):
        return b""
    return data[_HEAD:-_SIGNATURE]


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


@models.Field.register_lookup
@models.ForeignObject.register_lookup
class Among(Lookup):
    """One of these ids or texts, however many: one parameter where `in` has one for each.

    For sets of thousands, of which Django's own costs more than the query.
    """

    lookup_name = "among"
    prepare_rhs = False

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        sql = f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608 - as in Holds
        return sql, [*params, json.dumps(list(self.rhs))]

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*params, list(self.rhs)]


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
