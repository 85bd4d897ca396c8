"""Two registrars over one location database: no binding is ever lost on the way over or home.

That is what `shares_registrations` means: both servers read and write the same bindings. A
REGISTER with expires 0 to the server just left would delete the binding just made, and a CSeq
that does not grow in one Call-ID would be refused.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from django.db.models import F

from registrations import store
from registrations.models import Registration
from registrations.runtime.engine import Name
from registrations.runtime.loop import LoopThread
from tests.support import parts
from tests.support.claims import make_due, make_group, make_lines
from tests.support.kamailio import REALM, Kamailio
from tests.support.processes import free_port
from tests.support.stores import Postgres
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

HANDSETS = 40
VERSION_TABLE = (
    "CREATE TABLE version (table_name VARCHAR(32) NOT NULL UNIQUE, "
    "table_version INTEGER DEFAULT 0 NOT NULL)"
)
LIVE = (
    "SELECT username, contact, callid, cseq FROM location "
    "WHERE expires > localtimestamp ORDER BY username"
)


@pytest.fixture
def location_db(postgres: Postgres) -> str:
    """A database with Kamailio's own tables for its bindings."""
    tables = Path(parts.need("kamailio-postgres")) / "usrloc-create.sql"
    url = postgres.create("location")
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(VERSION_TABLE)
        cursor.execute(tables.read_text())
    return url


class Witness(threading.Thread):
    """Looks at the shared bindings ten times a second, from a thread of its own."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True
        self._is_over = threading.Event()
        self.looks = 0
        self.faults: list[str] = []
        self.last: dict[str, tuple[str, int]] = {}
        """user -> (Call-ID, CSeq), as seen last."""

    def look(self) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(LIVE)
            rows = cursor.fetchall()
        self.looks += 1
        users = [user for user, _, _, _ in rows]
        missing = set(self.last) - set(users)
        if missing:
            self.faults.append(f"look {self.looks}: {len(missing)} bindings are gone")
        if len(users) > len(set(users)):
            self.faults.append(f"look {self.looks}: two contacts of one address of record")
        for user, _, call_id, cseq in rows:
            before = self.last.get(user, (call_id, cseq))
            if before[0] != call_id or cseq < before[1]:
                self.faults.append(f"look {self.looks}: {user} went from {before} to {call_id}")
            self.last[user] = (call_id, cseq)

    def run(self) -> None:
        while not self._is_over.wait(0.1):
            self.look()

    def close(self) -> None:
        self._is_over.set()
        self.join()
        self._connection.close()


@contextmanager
def watched(url: str) -> Iterator[Witness]:
    witness = Witness(url)
    witness.look()
    witness.start()
    try:
        yield witness
    finally:
        witness.close()
    assert witness.faults == []
    assert witness.looks > 20


@contextmanager
def registrars(home: Path, url: str) -> Iterator[tuple[Kamailio, Kamailio]]:
    addresses = ("127.0.0.98", "127.0.0.99")
    port = free_port(*addresses)
    pair = [Kamailio(each, port, home, location_db=url) for each in addresses]
    try:
        for each in pair:
            each.start()
        yield pair[0], pair[1]
    finally:
        for each in pair:
            each.kill()


@contextmanager
def worker() -> Iterator[LoopThread]:
    thread = LoopThread(lambda site_id: None, Name("worker@test", ""))
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()


def test_no_binding_is_lost_on_failover_and_failback_over_a_shared_location_database(
    run_dir: Path, location_db: str
) -> None:
    with registrars(run_dir, location_db) as (primary, secondary), worker() as runtime:
        group = make_group(
            addresses=tuple(f"{each.address}:{each.port}" for each in (primary, secondary)),
            expires=16,
            shares_registrations=True,
            fail_back_mode="duration",
            fail_back_timeout=0,
            max_registrations_per_second=0,
        )
        rows = make_due(make_lines(HANDSETS, group, domain=REALM))
        store.ensure_health()

        def all_on(server: Kamailio) -> bool:
            runtime.kick(rows[0].site_id)
            there = Registration.objects.filter(server__address=server.address)
            return there.filter(state__in=("primary", "secondary")).count() == HANDSETS

        def seen() -> list[tuple[str, str]]:
            return list(Registration.objects.values_list("state", "reason").distinct()[:3])

        wait_until(lambda: all_on(primary), 30, "all on the primary", every=0.2, seen=seen)
        with watched(location_db) as witness:
            assert len(witness.last) == HANDSETS
            primary.kill()
            wait_until(lambda: all_on(secondary), 40, "all moved over", every=0.2, seen=seen)
            primary.start()
            Registration.objects.update(
                wish="failback", wish_version=F("wish_version") + 1, due_at="2020-01-01T00:00Z"
            )
            wait_until(lambda: all_on(primary), 40, "all home again", every=0.2, seen=seen)
            # The copies granted by the secondary run out: on shared data there are none.
            until = time.monotonic() + 20
            wait_until(
                lambda: all_on(primary) and time.monotonic() > until,
                40,
                "a whole expiry",
                every=0.2,
            )
        call_ids = {call_id for call_id, _ in witness.last.values()}
        assert len(call_ids) == HANDSETS, "one Call-ID per handset through all of it (R3)"
        assert secondary.requests(), "the secondary was asked"
