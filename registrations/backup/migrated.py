"""The shape of a database: which migrations it has, and bringing it to an archive's."""

from collections.abc import Iterable

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from fleet.versions import Migration, known
from registrations.backup.archive import Manifest, Refused


def is_bare() -> bool:
    """Whether the database has no tables of ours at all."""
    return "django_migrations" not in connection.introspection.table_names()


def check(manifest: Manifest) -> None:
    """See that an archive's tables can be made here. Raises Refused."""
    if newer := sorted(set(manifest.migrations) - known()):
        raise Refused(
            f"The archive was made by a newer Rollcall (it has {'.'.join(newer[0])}): restore it "
            "with that version or a newer one."
        )
    if is_older(manifest) and not is_bare():
        raise Refused(
            "The archive was made by an older Rollcall: restore it into a database without "
            "tables, in which it is brought up to date, or with that older version."
        )


def bring_to(manifest: Manifest) -> None:
    """Make the tables as the archive has them. Call `check` before."""
    if not is_older(manifest):
        call_command("migrate", interactive=False, verbosity=0)
        return
    executor = MigrationExecutor(connection)
    executor.migrate(_last(manifest.migrations, executor.loader))


def bring_up() -> None:
    """Make the tables as this version wants them, with what is in them."""
    call_command("migrate", interactive=False, verbosity=0)


def is_older(manifest: Manifest) -> bool:
    """Whether an archive lacks migrations of this version."""
    return bool(known() - set(manifest.migrations))


def _last(given: Iterable[Migration], loader: MigrationLoader) -> list[Migration]:
    """Return the last migration of each app among those given."""
    there = set(given)
    followed = {
        parent.key
        for key in there
        for parent in loader.graph.node_map[key].parents
        if parent.key[0] == key[0]
    }
    return sorted(there - followed)
