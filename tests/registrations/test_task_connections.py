"""A task's connection to the database: that of the task before it, as long as it works."""

import pytest
from django.db import DatabaseError, connection

from fleet.config.celery import leave_a_dead_connection
from tests.support.databases import database, migrated_postgres  # noqa: F401 - fixtures

pytestmark = pytest.mark.usefixtures("database")


def test_the_next_task_uses_the_same_connection() -> None:
    connection.ensure_connection()
    first = connection.connection
    leave_a_dead_connection()
    assert connection.connection is first


def test_after_an_error_the_next_task_connects_anew() -> None:
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")
    leave_a_dead_connection()
    assert connection.connection is None


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_connection_that_died_meanwhile_costs_no_task() -> None:
    connection.ensure_connection()
    connection.connection.close()
    leave_a_dead_connection()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
