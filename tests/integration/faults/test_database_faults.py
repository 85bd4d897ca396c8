"""PostgreSQL away, full or slow: nothing is lost, nothing stale is shown as live."""

import psycopg2
import pytest

from tests.support.chaos import EXPIRES_S, HANDSETS, Fault
from tests.support.hospital import Hospital
from tests.support.proxy import Proxy
from tests.support.stores import Postgres
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)

PAGE = 8192


def test_postgresql_is_restarted(icu: Hospital, cluster: Postgres) -> None:
    with Fault(icu, "PostgreSQL restarted") as fault:
        cluster.stop()
        fault.is_said("database", "stale")
        cluster.start()
        fault.mended()


def test_postgresql_has_no_connection_left(icu: Hospital, cluster: Postgres) -> None:
    taken = []
    with Fault(icu, "PostgreSQL out of connections") as fault:
        try:
            taken = take_every_connection(cluster)
            fault.is_said("database", "stale")
            wait_until(
                lambda: len(icu.primary.locations()) < HANDSETS,
                EXPIRES_S + 10,
                "the first bindings have run out",
            )
        finally:
            for connection in taken:
                connection.close()
        fault.mended()


def take_every_connection(cluster: Postgres) -> list["psycopg2.extensions.connection"]:
    """Put everybody else out, and leave no place to come back to."""
    taken = [cluster.connect("postgres")]
    taken[0].autocommit = True
    full = False
    while not full:
        with taken[0].cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND datname <> 'postgres'"
            )
            full = not cursor.fetchall()
        try:
            while True:
                taken.append(cluster.connect("postgres"))
        except psycopg2.OperationalError:
            continue
    return taken


def test_postgresql_takes_a_second_for_each_statement(icu: Hospital, wire: Proxy) -> None:
    with Fault(icu, "PostgreSQL slow: a second for each statement") as fault:
        wire.delay_s = 1.0
        try:
            icu.all_renew(4 * EXPIRES_S + 100)
            fault.is_said("database", "stale")
        finally:
            wire.delay_s = 0.0
        fault.mended()


def test_the_disk_under_postgresql_is_full(icu: Hospital, cluster: Postgres) -> None:
    with Fault(icu, "disk full under PostgreSQL, in the midst of a failover") as fault:
        try:
            fill_the_disk(icu, cluster)
            icu.primary.set_fault(503)
            wait_until(
                lambda: icu.states()["unknown"] >= HANDSETS // 2,
                EXPIRES_S + 60,
                "what cannot be written turns unknown",
                seen=icu.states,
            )
        finally:
            cluster.limit_files(None)
            icu.primary.set_fault(None)
        fault.mended()


def fill_the_disk(icu: Hospital, cluster: Postgres) -> None:
    """Fill the history, greater than a file of the write-ahead log, until it has no page left."""
    old = (
        "INSERT INTO registrations_transition (at, mac, extension, handset_name, group_name, "
        "site_name, from_state, from_server, to_state, to_server, cause, reason, asked_by) "
        "SELECT now() - interval '1 year', '00907a000001', '1', '', 'icu', 'main', "
        "'primary', '', 'secondary', '', 'failover', '', '' FROM generate_series(1, %s) "
        "RETURNING id"
    )
    icu.sql(old, 10_000)
    ((size,),) = icu.sql("SELECT pg_relation_size('registrations_transition')")
    assert size > 2**20
    cluster.limit_files(size + PAGE // 2)
    with pytest.raises(psycopg2.errors.DiskFull):
        while True:
            icu.sql(old, 1)
