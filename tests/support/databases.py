"""A test on each database: SQLite as embedded, and PostgreSQL where it is installed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.db import connection, connections

from tests.support.stores import Postgres


@pytest.fixture(scope="session")
def migrated_postgres(request: pytest.FixtureRequest) -> str:
    """The URL of a PostgreSQL database with our tables."""
    cluster: Postgres = request.getfixturevalue("postgres")
    url = cluster.create("store")
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        check=True,
        env={
            **os.environ,
            "DATABASE_URL": url,
            "SECRET_KEY": "only for this test",
            "CREDENTIALS_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        },
    )
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """An empty database, seen by all threads; gives its vendor."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    with on_postgresql(request):
        yield "postgresql"


@contextmanager
def on_postgresql(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let this process stand on an empty PostgreSQL meanwhile; needs `transactional_db`."""
    url = urlsplit(request.getfixturevalue("migrated_postgres"))
    blocker = request.getfixturevalue("django_db_blocker")
    kept = connections.databases["default"]
    with blocker.unblock():
        connections["default"].close()
        connections.databases["default"] = {
            **kept,
            "ENGINE": "django.db.backends.postgresql",
            "NAME": url.path[1:],
            "USER": url.username,
            "PASSWORD": "",
            "HOST": url.hostname,
            "PORT": url.port,
            "OPTIONS": {},
        }
        del connections["default"]
        try:
            yield
        finally:
            connections["default"].close()
            _empty()
            connections["default"].close()
            connections.databases["default"] = kept
            del connections["default"]


def _empty() -> None:
    kept = ("contenttypes", "auth.permission", "auth.group")
    tables = [
        model._meta.db_table
        for model in apps.get_models()
        if not model._meta.label_lower.startswith(kept)
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")
