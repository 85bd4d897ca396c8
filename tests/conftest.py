"""What all tests share: the order they run in, and the real parts they may ask for."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import expect

from fleet import append_only
from tests.support import stores

# Playwright's synchronous interface keeps an event loop in the main thread; Django would refuse
# the ORM there although nothing in it is asynchronous.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

# So long a page may take on a busy machine; what a test expects usually comes within a second.
expect.set_options(timeout=30_000)

BROWSER_FIXTURES = {"page", "browser", "context", "browser_page"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "integration: stands on real parts (tests/integration)")
    config.addinivalue_line("markers", "browser: drives Chromium")


def _is_browser_test(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    return item.get_closest_marker("browser") is not None or bool(
        BROWSER_FIXTURES.intersection(fixtures)
    )


def _rank(item: pytest.Item) -> int:
    if _is_browser_test(item):
        return 2
    return 1 if "integration" in item.path.parts else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first, then the integration tests, and the browser's last of all.

    Playwright leaves a running loop in the main thread, after which no asyncio test can start.
    """
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.integration)
        if _is_browser_test(item):
            item.add_marker(pytest.mark.browser)
    items.sort(key=_rank)


@pytest.fixture(scope="session")
def postgres() -> Iterator[stores.Postgres]:
    """A throw-away PostgreSQL cluster; `postgres.create()` gives a fresh database's URL."""
    with stores.postgres() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A throw-away Redis on a unix socket."""
    with stores.redis() as one:
        yield one.url


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session's processes write their logs."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Between two tests SQLite empties every table, the audit log too: let it."""
    with django_db_blocker.unblock():
        append_only.lift(connection)
