"""The stores asked: database, keys, sites and Redis; but only where a database is named."""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any

import redis
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import DatabaseError, connection

from fleet.checks.variables import Check
from fleet.models import Line, Site

OLDEST_POSTGRESQL = 14
OLDEST_SQLITE = (3, 35)
"""What Django 5.2 and our own SQL (RETURNING) take."""
OLDEST_REDIS = (6, 2)
MOST_SKEW_S = 2.0
"""Leases, due times and what is shown as unknown go by the hosts' clocks."""
LOOKED_AT = 20
"""Stored passwords that are opened from either end: the key of a fleet is one."""
REDIS_SECONDS = 2.0

Databases = Sequence[str] | None


def database(databases: Databases = None, **_: Any) -> Iterable[CheckMessage]:
    """The database is reached, new enough, and takes every text."""
    if not databases:
        return []
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        hint = "See that DATABASE_URL is right, and that the database runs."
        return [Error(f"The database cannot be reached: {reason}.", hint=hint, id="rollcall.E010")]
    return list(_postgresql() if connection.vendor == "postgresql" else _sqlite())


def _sqlite() -> Iterable[CheckMessage]:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        yield Error(
            f"This Python has SQLite {sqlite3.sqlite_version}, which is too old.",
            hint="Use a Python with SQLite 3.35 or newer, or set DATABASE_URL to a PostgreSQL.",
            id="rollcall.E011",
        )


def _postgresql() -> Iterable[CheckMessage]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
        (version,) = cursor.fetchone()
        cursor.execute("SHOW server_encoding")
        (encoding,) = cursor.fetchone()
        before = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        (theirs,) = cursor.fetchone()
        after = time.time()
    if version < OLDEST_POSTGRESQL:
        yield Error(
            f"DATABASE_URL leads to PostgreSQL {version}; {OLDEST_POSTGRESQL} is the oldest that "
            "will do.",
            hint="Upgrade it, or name another.",
            id="rollcall.E012",
        )
    if encoding == "SQL_ASCII":
        yield Warning(
            "The database of DATABASE_URL keeps text as SQL_ASCII: searches tell upper from lower "
            "case in all letters but A to Z.",
            hint="Create it anew with: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0.",
            id="rollcall.W015",
        )
    elif encoding != "UTF8":
        yield Error(
            f"The database of DATABASE_URL keeps text as {encoding}: names could not be stored.",
            hint="Create it anew with: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0.",
            id="rollcall.E013",
        )
    skew = max(before - theirs, theirs - after, 0.0)
    if skew > MOST_SKEW_S:
        yield Warning(
            f"The clocks of this machine and of the database are {skew:.0f} s apart: handsets "
            "may be renewed late and shown as unknown.",
            hint="Let both follow a time server (NTP).",
            id="rollcall.W012",
        )


def credentials(databases: Databases = None, **_: Any) -> Iterable[CheckMessage]:
    """CREDENTIALS_KEY opens what is stored."""
    if not databases:
        return []
    stored = Line.objects.exclude(auth_password="").values_list("auth_password", flat=True)
    try:
        for end in ("pk", "-pk"):
            # Reading them opens them.
            list(stored.order_by(end)[:LOOKED_AT])
    except DatabaseError:
        return []  # no tables yet, or no database: said by others
    except InvalidToken:
        hint = (
            "Set CREDENTIALS_KEY to the key they were stored under (with several, separate them "
            "by commas: the first one encrypts). It is not in the database's backups; "
            "'manage.py backup' writes it to a file of its own."
        )
        said = "CREDENTIALS_KEY does not open the SIP passwords stored in this database."
        return [Error(said, hint=hint, id="rollcall.E014")]
    return []


def sites(databases: Databases = None, **_: Any) -> Iterable[CheckMessage]:
    """WORKER_SITES names sites that have workers of their own."""
    if not databases or not settings.WORKER_SITES:
        return []
    try:
        own = dict(Site.objects.values_list("name", "has_own_workers"))
    except DatabaseError:
        return []
    found: list[CheckMessage] = []
    for name in settings.WORKER_SITES:
        if name not in own:
            said = f"WORKER_SITES names {name!r}, and there is no such site."
            hint = f"The sites are: {', '.join(sorted(own)) or 'none yet'}."
            found.append(Warning(said, hint=hint, id="rollcall.W010"))
        elif not own[name]:
            said = f"WORKER_SITES names {name}, but that site's handsets go to the shared workers."
            hint = "Say in its site that it has workers of its own, or leave WORKER_SITES out."
            found.append(Warning(said, hint=hint, id="rollcall.W011"))
    return found


def broker(databases: Databases = None, **_: Any) -> Iterable[CheckMessage]:
    """Redis is reached, new enough, and drops nothing by itself."""
    if not databases or settings.REDIS_URL.startswith("memory:"):
        return []
    waits = {"socket_timeout": REDIS_SECONDS, "socket_connect_timeout": REDIS_SECONDS}
    try:
        with redis.Redis.from_url(settings.REDIS_URL, **waits) as client:
            return list(_asked(client))
    except (redis.RedisError, OSError, ValueError) as error:
        said = f"REDIS_URL: Redis cannot be used ({error})."
        hint = "Until it can, workers look for due work themselves, jobs wait, no screen is live."
        return [Warning(said, hint=hint, id="rollcall.W013")]


def _asked(client: Any) -> Iterable[CheckMessage]:
    about = client.info("server")
    version = tuple(int(part) for part in about["redis_version"].split(".")[:2])
    if version < OLDEST_REDIS:
        yield Error(
            f"REDIS_URL leads to Redis {about['redis_version']}; 6.2 is the oldest that will do.",
            hint="Upgrade it, or name another.",
            id="rollcall.E015",
        )
    try:
        client.publish("rollcall:check", "")
    except redis.ResponseError as error:
        yield Error(
            f"REDIS_URL: this user may not publish ({error}), so no page would be live.",
            hint="Let it use channels (ACL: allchannels) and all keys.",
            id="rollcall.E016",
        )
    memory = client.info("memory")
    policy = memory.get("maxmemory_policy", "noeviction")
    if memory.get("maxmemory") and policy != "noeviction":
        yield Warning(
            f"REDIS_URL: with maxmemory-policy {policy} Redis drops hints and traces when its "
            "memory is full.",
            hint="Set maxmemory-policy to noeviction: Rollcall bounds what it keeps there.",
            id="rollcall.W014",
        )


ALL: tuple[Check, ...] = (database, credentials, sites, broker)
OF_WORKER: tuple[Check, ...] = (credentials,)
