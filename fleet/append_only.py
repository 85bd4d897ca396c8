"""The audit log is only added to: the database itself refuses to change or delete what is in it.

One thing may change: an entry lets go of a user who is deleted, and keeps their name.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TABLE = "auditlog_logentry"
SAID = "The audit log is only added to."
MAY_CHANGE = "actor_id"


def put(connection: Any) -> None:
    """Have the database refuse."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_FUNCTION)
            cursor.execute(_TRIGGER)
            return
        described = connection.introspection.get_table_description(cursor, TABLE)
        others = [column.name for column in described if column.name != MAY_CHANGE]
        differs = " OR ".join(f'NEW."{name}" IS NOT OLD."{name}"' for name in others)
        refused = f"BEGIN SELECT RAISE(ABORT, '{SAID}'); END"
        cursor.execute(f"CREATE TRIGGER audit_kept BEFORE DELETE ON {TABLE} {refused}")
        cursor.execute(
            f"CREATE TRIGGER audit_unchanged BEFORE UPDATE ON {TABLE} "
            f"WHEN NEW.{MAY_CHANGE} IS NOT NULL OR {differs} {refused}"
        )


def lift(connection: Any) -> None:
    """Have it refuse nothing, as before `put`."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"DROP TRIGGER IF EXISTS audit_unchanged ON {TABLE}")
            return
        for name in ("audit_kept", "audit_unchanged"):
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")


@contextmanager
def lifted(connection: Any) -> Iterator[None]:
    """For a restore, which empties all tables; in one transaction with what is done meanwhile."""
    was_put = _is_put(connection)
    lift(connection)
    yield
    if was_put:
        put(connection)


def _is_put(connection: Any) -> bool:
    of = (
        "pg_trigger WHERE tgname"
        if connection.vendor == "postgresql"
        else "sqlite_master WHERE name"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {of} = 'audit_unchanged'")  # noqa: S608 - one of two
        return bool(cursor.fetchone()[0])


_FUNCTION = f"""
CREATE OR REPLACE FUNCTION audit_unchanged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.{MAY_CHANGE} IS NULL
            AND to_jsonb(NEW) - '{MAY_CHANGE}' = to_jsonb(OLD) - '{MAY_CHANGE}' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '{SAID}';
END $$
"""

_TRIGGER = f"""
CREATE TRIGGER audit_unchanged BEFORE UPDATE OR DELETE ON {TABLE}
FOR EACH ROW EXECUTE FUNCTION audit_unchanged()
"""
