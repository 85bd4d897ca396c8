"""The fleet most integration tests share: 500 handsets, two registrars, the product beside them."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2

from tests.support import kamailio, product, stores
from tests.support.fleet import Policy, Watch, fleet_file, users
from tests.support.kamailio import Kamailio
from tests.support.processes import free_port
from tests.support.product import Product
from tests.support.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Hospital:
    """A group of handsets over a primary and a secondary, and who judges them."""

    primary: Kamailio
    secondary: Kamailio
    product: Product
    redis: stores.Redis
    group: str
    extensions: list[str]
    database_url: str
    """The real database's, whatever the product goes through to reach it."""

    def watch(self, *, all_bound: bool) -> Watch:
        """Look at both registrars all the while: see `Watch`."""
        return Watch([self.primary, self.secondary], self.extensions, all_bound=all_bound)

    def group_id(self) -> int:
        groups = self.product.every("groups")
        return next(int(g["id"]) for g in groups if g["name"] == self.group)

    def states(self) -> Counter[str]:
        return self.product.states()

    def wait_for(self, registrar: Kamailio, deadline: float) -> None:
        """Until the registrar's own table holds every handset, each with exactly one contact."""
        wanted = sorted(self.extensions)

        def all_there() -> bool:
            found = registrar.locations()
            assert all(len(c) == 1 for c in found.values()), "two contacts of one handset"
            return sorted(found) == wanted

        wait_until(
            all_there,
            deadline,
            f"all {len(wanted)} in the location table of {registrar}",
            every=0.5,
            seen=lambda: (len(registrar.locations()), self.states()),
        )

    def all_renew(self, deadline: float) -> None:
        """Until each handset has come to the primary once more, by the primary's own count."""
        before = self.primary.requests()
        wait_until(
            lambda: all(self.primary.requests()[e] > before.get(e, 0) for e in self.extensions),
            deadline,
            "all have renewed",
            every=0.5,
        )

    def wait_for_state(self, state: str, deadline: float) -> None:
        """Until the API shows every handset in `state`."""
        wanted = Counter({state: len(self.extensions)})
        wait_until(
            lambda: self.states() == wanted,
            deadline,
            f"the API shows all {len(self.extensions)} as {state}",
            every=0.5,
            seen=self.states,
        )

    def go_home(self) -> None:
        """Whatever a test left: both registrars up, one worker, all on the primary, none else.

        Orders a failback until it has the effect; a handset that backs off may need a minute.
        """
        for registrar in (self.primary, self.secondary):
            registrar.start()
            for row in registrar.rpc("htable.dump", "fault"):
                for item in row["slot"]:
                    registrar.set_fault(None, item["name"])
        if not self.product.running_workers():
            self.product.start_worker()
        last_order = 0.0

        def home() -> bool:
            nonlocal last_order
            rows = self.product.registrations()
            away = [row["id"] for row in rows if row["state"] != "primary"]
            if away and time.monotonic() - last_order > 20:
                last_order = time.monotonic()
                order = {"registrations": away, "abort_above_percent": 100, "despite_hold": True}
                self.product.post("/api/v1/failbacks/", order)
            return len(rows) == len(self.extensions) and not away

        wait_until(home, 150, "the fleet is home again", every=1, seen=self.states)
        self.wait_for(self.primary, 50)
        if self.secondary.locations():
            # Copies of before would look like handsets that have moved already.
            self.secondary.restart_empty()

    def transitions(self, since: datetime, **query: object) -> list[dict[str, Any]]:
        return self.product.every("transitions", since=since.isoformat(), **query)

    def leased(self) -> set[int]:
        """Registrations a worker has in its hands now, by the database."""
        rows = self.sql("SELECT id FROM registrations_registration WHERE lease_token IS NOT NULL")
        return {int(row[0]) for row in rows}

    def sql(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """One query past the product, for what it must not be asked itself."""
        connection = psycopg2.connect(self.database_url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(query, values)
                return list(cursor.fetchall())
        finally:
            connection.close()


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def hospital(
    home: Path,
    *,
    addresses: tuple[str, str],
    group: str,
    count: int,
    policy: Policy,
    database_url: str = "",
    through: str = "",
    locked: int = 0,
    env: Mapping[str, str] | None = None,
) -> Iterator[Hospital]:
    """A running product with its fleet imported. `locked` handsets have a wrong password.

    It has a Redis of its own: the channels of two products on one would mix (Redis numbers its
    databases, not its channels). Without `database_url` it runs on the embedded database; the
    product reaches it by the URL `through` where one is given.
    """
    extensions = users(count)
    port = free_port(*addresses)
    home.mkdir(parents=True, exist_ok=True)
    with (
        kamailio.running(addresses[0], port, home) as primary,
        kamailio.running(addresses[1], port, home) as secondary,
        stores.redis() as redis,
        product.running(
            home, redis_url=redis.url, database_url=through or database_url, env=env
        ) as running,
    ):
        for extension in extensions[:locked]:
            primary.set_password(extension, "changed at the registrar")
            secondary.set_password(extension, "changed at the registrar")
        running.import_fleet(fleet_file(group, extensions, [primary, secondary], policy))
        yield Hospital(primary, secondary, running, redis, group, extensions, database_url)
