"""Fixtures of the integration tests: registrars under the test's hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import kamailio
from tests.support.fleet import HARNESS_PORT


@pytest.fixture
def registrar(run_dir: Path) -> Iterator[kamailio.Kamailio]:
    """A registrar for one test of the harness itself."""
    with kamailio.running("127.0.0.4", HARNESS_PORT, run_dir) as one:
        yield one
