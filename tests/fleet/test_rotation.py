"""Key rotation: all comes under the first key, and what is written meanwhile stays."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection

from fleet import rotation
from fleet.fields import decrypt_bytes, encrypt_bytes
from fleet.models import ImportJob, ImportPart, Line
from tests.support.databases import database, migrated_postgres
from tests.support.rows import make_group, make_line

__all__ = ["database", "migrated_postgres"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def keys(database: str, settings: Any) -> list[bytes]:
    """The old key, under which all is, and a new one before it."""
    old, new = Fernet.generate_key(), Fernet.generate_key()
    settings.CREDENTIALS_KEYS = [old]
    group = make_group()
    for number in range(5):
        make_line(group, auth_password=f"secret {number}")
    make_line(group, auth_password="")
    part = encrypt_bytes(b"a table")
    ImportPart.objects.create(job=ImportJob.objects.create(asked_by="x"), number=1, data=part)
    settings.CREDENTIALS_KEYS = [new, old]
    return [new, old]


def passwords() -> set[str]:
    return set(Line.objects.values_list("auth_password", flat=True))


ALL = {*(f"secret {number}" for number in range(5)), ""}


def test_all_is_under_the_new_key_and_the_old_one_can_go(
    keys: list[bytes], settings: Any, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    call_command("rotate_keys")
    said = capsys.readouterr().out.splitlines()
    assert "line auth_password: 2 of 5 looked at, 2 encrypted anew, 3 left" in said
    assert "line auth_password: 5 of 5 looked at, 5 encrypted anew, 0 left" in said
    assert said[-1] == "All is under the first key: no other needs to stay in CREDENTIALS_KEY."
    settings.CREDENTIALS_KEYS = keys[:1]
    assert passwords() == ALL
    assert decrypt_bytes(bytes(ImportPart.objects.get().data)) == b"a table"
    call_command("rotate_keys")
    assert "5 of 5 looked at, 0 encrypted anew" in capsys.readouterr().out


def test_what_is_written_meanwhile_stays(keys: list[bytes], monkeypatch: Any) -> None:
    """Between reading and writing somebody types a new password in."""
    line = Line.objects.exclude(auth_password="").earliest("pk")
    read = rotation._anew

    def typed(stored: Any, *more: Any) -> Any:
        if Line.objects.get(pk=line.pk).auth_password != "typed in":
            Line.objects.filter(pk=line.pk).update(auth_password="typed in")
        return read(stored, *more)

    monkeypatch.setattr(rotation, "_anew", typed)
    list(rotation.rotate())
    assert Line.objects.get(pk=line.pk).auth_password == "typed in"


def test_what_opens_with_no_key_is_told_and_left_alone(keys: list[bytes], settings: Any) -> None:
    stored = raw()
    settings.CREDENTIALS_KEYS = [Fernet.generate_key()]
    with pytest.raises(CommandError, match="none of the keys.*5 of line auth_password"):
        call_command("rotate_keys")
    assert raw() == stored


def raw() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, auth_password FROM fleet_line ORDER BY id")
        return list(cursor.fetchall())
