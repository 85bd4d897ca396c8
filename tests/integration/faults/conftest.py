"""The fleet that the faults befall: see `tests.support.chaos` for what must hold after each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import stores
from tests.support.chaos import HANDSETS, POLICY
from tests.support.fleet import PRIMARY, SECONDARY
from tests.support.hospital import Hospital, hospital
from tests.support.outside import Outside, outside
from tests.support.proxy import Proxy, proxy


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
def cluster() -> Iterator[stores.Postgres]:
    """A PostgreSQL that may be hurt."""
    with stores.postgres(wal_segment_mb=1, max_connections="40") as one:
        yield one


@pytest.fixture(scope="package")
def wire(cluster: stores.Postgres) -> Iterator[Proxy]:
    """The way to it, which may be slow."""
    with proxy(cluster.port) as one:
        yield one


@pytest.fixture(scope="package")
def icu(
    tmp_path_factory: pytest.TempPathFactory, cluster: stores.Postgres, wire: Proxy
) -> Iterator[Hospital]:
    """A fleet at home, with stores of its own that may be hurt; one for all these faults."""
    direct = cluster.create("icu")
    with hospital(
        tmp_path_factory.mktemp("icu"),
        addresses=(PRIMARY, SECONDARY),
        group="icu",
        count=HANDSETS,
        policy=POLICY,
        database_url=direct,
        through=direct.replace(f":{cluster.port}/", f":{wire.port}/"),
    ) as running:
        yield running
