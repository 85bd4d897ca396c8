"""Both databases in one test: what is made on one is restored on the other."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.core.management import call_command

from tests.support.databases import database, migrated_postgres, on_postgresql

__all__ = ["database", "migrated_postgres"]

On = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def on(request: pytest.FixtureRequest, transactional_db: None) -> On:
    """`with on(vendor):` this process stands on an empty database of that kind, new each time."""

    @contextmanager
    def chosen(vendor: str) -> Iterator[None]:
        if vendor == "postgresql":
            with on_postgresql(request):
                yield
            return
        call_command("flush", interactive=False, verbosity=0)
        yield

    return chosen
