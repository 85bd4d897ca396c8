"""Fixtures of the integration tests: registrars under the test's hand, and running products."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import kamailio, parts, product
from tests.support.fleet import PRIMARY, SECONDARY, WARD_POLICY
from tests.support.hospital import Hospital, hospital
from tests.support.processes import free_port
from tests.support.stores import Postgres


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test shows the ends of the logs of every product process."""
    report = yield
    if report.failed:
        for running in product.RUNNING:
            report.sections.append((f"processes at {running.url}", running.tails()))
    return report


@pytest.fixture
def registrar(run_dir: Path) -> Iterator[kamailio.Kamailio]:
    """A registrar for one test of the harness itself."""
    with kamailio.running("127.0.0.4", free_port("127.0.0.4"), run_dir) as one:
        yield one


@pytest.fixture(scope="session")
def the_ward(run_dir: Path, postgres: Postgres) -> Iterator[Hospital]:
    """500 handsets through the real worker, PostgreSQL and Redis; Kamailio is the judge."""
    with hospital(
        run_dir / "ward",
        addresses=(PRIMARY, SECONDARY),
        group="ward",
        count=500,
        policy=WARD_POLICY,
        database_url=postgres.create("ward"),
    ) as running:
        yield running


@pytest.fixture
def ward(the_ward: Hospital) -> Hospital:
    """The shared fleet, all of it at home on the primary."""
    the_ward.go_home()
    return the_ward


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Debian's Chromium instead of Playwright's own download, on a machine with little memory."""
    return {
        "executable_path": parts.need("chromium"),
        "args": ["--disable-dev-shm-usage", "--disable-gpu"],
    }
