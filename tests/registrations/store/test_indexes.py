"""The hot row's few indexes: each costs every claim and save, and each lookup has one."""

import pytest
from django.db import connection, transaction

from registrations.models import Registration

LOOKUPS = {
    "due": "site_id = 1 AND due_at <= CURRENT_TIMESTAMP",
    "site": "site_id = 1",
    "group": "group_id = 1",
    "server": "server_id = 1",
    "servers assumed": "assumed_on_id IN (1, 2)",
    "line": "line_id = 1",
}


@pytest.mark.parametrize("condition", LOOKUPS.values(), ids=LOOKUPS.keys())
def test_what_belongs_to_a_thing_is_found_without_reading_all(
    database: str, condition: str
) -> None:
    asked = f"SELECT id FROM {Registration._meta.db_table} WHERE {condition}"
    with transaction.atomic(), connection.cursor() as cursor:
        if database == "postgresql":
            # An empty table is read soonest whole; the question is whether it must be.
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if database == 'sqlite' else ''}{asked}")
        plan = " ".join(str(row) for row in cursor.fetchall()).lower()
    assert ("index cond:" if database == "postgresql" else "search registrations_") in plan
