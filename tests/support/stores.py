"""PostgreSQL and Redis of the tests' own: throw-away, on loopback, gone at the end."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg2

from tests.support import parts
from tests.support.processes import Child, free_port
from tests.support.waiting import wait_until


class Postgres:
    """A running cluster; `create` gives a fresh database in it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._databases = 0

    def url(self, database: str) -> str:
        """As `DATABASE_URL` wants it."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, name: str = "rollcall") -> str:
        """Make an empty database, named `name` and a number, and return its URL."""
        self._databases += 1
        database = f"{name}_{self._databases}"
        connection = self.connect("postgres")
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{database}"')
        finally:
            connection.close()
        return self.url(database)

    def connect(self, database: str) -> "psycopg2.extensions.connection":
        return psycopg2.connect(self.url(database))


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A cluster made for this run. Root may not run one, so root becomes the user postgres."""
    programs = Path(parts.need("postgres"))
    user = "postgres" if os.getuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="rollcall-postgres-"))
    try:
        if user:
            entry = pwd.getpwnam(user)
            os.chown(home, entry.pw_uid, entry.pw_gid)
        data = home / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"],
            check=True,
            capture_output=True,
            user=user,
            group=user,
            cwd=home,
        )
        port = free_port()
        settings = [
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={home}",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "max_connections=100",
        ]
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port)]
        for setting in settings:
            command += ["-c", setting]
        child = Child("postgres", command, _log(home, "postgres"), user=user, cwd=home)
        cluster = Postgres(port)
        try:

            def ready() -> bool:
                assert child.exit_code is None, child.tail()
                try:
                    cluster.connect("postgres").close()
                except psycopg2.OperationalError:
                    return False
                return True

            wait_until(ready, 20, "PostgreSQL takes connections", every=0.05)
            yield cluster
        finally:
            child.kill()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def redis() -> Iterator[str]:
    """A Redis on a unix socket; gives its URL as `REDIS_URL` wants it."""
    program = parts.need("redis")
    home = Path(tempfile.mkdtemp(prefix="rollcall-redis-"))
    path = home / "redis.sock"
    command = [program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(home)]
    child = Child("redis", command, _log(home, "redis"))
    try:

        def ready() -> bool:
            assert child.exit_code is None, child.tail()
            return path.exists()

        wait_until(ready, 10, "Redis makes its socket", every=0.02)
        yield f"unix://{quote(str(path))}?db=0"
    finally:
        child.kill()
        shutil.rmtree(home, ignore_errors=True)


def _log(home: Path, name: str) -> Path:
    return home / f"{name}.log"
