"""These tests run on each database."""

from tests.support.databases import database, migrated_postgres

__all__ = ["database", "migrated_postgres"]
