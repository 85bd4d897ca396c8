"""Both databases, and a real mail server that this process sends its mail to."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import smtp
from tests.support.databases import database, migrated_postgres

__all__ = ["database", "migrated_postgres", "sink"]


@pytest.fixture
def sink(settings: Any) -> Iterator[smtp.Sink]:
    with smtp.sink() as (keeps, port):
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        settings.DEFAULT_FROM_EMAIL = "rollcall@hospital.example"
        yield keeps
