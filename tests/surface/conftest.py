"""A real Redis, and each database in turn, for those who ask."""

from tests.registrations.conftest import live_redis, web
from tests.support.databases import database, migrated_postgres

__all__ = ["database", "live_redis", "migrated_postgres", "web"]
