"""The fleet that the faults befall: see `tests.support.chaos` for what must hold after each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import stores
from tests.support.chaos import HANDSETS, POLICY
from tests.support.fleet import PRIMARY, SECONDARY
from tests.support.hospital import Hospital, hospital
from tests.support.outside import Outside, outside


@pytest.fixture(scope="package")
def world(run_dir: Path, postgres: stores.Postgres) -> Iterator[Outside]:
    """A fleet at home whose network, DNS and clock may be hurt; one for all these faults."""
    with outside(
        run_dir / "world",
        addresses=("127.0.0.4", "127.0.0.5"),
        count=HANDSETS,
        database_url=postgres.create("world"),
    ) as running:
        yield running


@pytest.fixture(scope="package")
def icu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """A fleet at home, with stores of its own that may be hurt; one for all these faults."""
    with (
        stores.postgres() as postgres,
        hospital(
            tmp_path_factory.mktemp("icu"),
            addresses=(PRIMARY, SECONDARY),
            group="icu",
            count=HANDSETS,
            policy=POLICY,
            database_url=postgres.create("icu"),
        ) as running,
    ):
        yield running
