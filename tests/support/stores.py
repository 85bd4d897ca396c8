"""PostgreSQL and Redis of the tests' own: throw-away, on loopback, gone at the end."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg2
import redis as redis_client

from tests.support import parts
from tests.support.processes import Child, free_port
from tests.support.waiting import wait_until

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
}


class Postgres:
    """A cluster made for this run; `create` gives a fresh database in it.

    Root may not run one, so root becomes the user postgres. Its log is cut into files of
    `wal_segment_mb`.
    """

    def __init__(self, home: Path, *, wal_segment_mb: int = 16, **settings: str) -> None:
        self._home = home
        self._programs = Path(parts.need("postgres"))
        self._user = "postgres" if os.getuid() == 0 else None
        self._wal_segment_mb = wal_segment_mb
        self._settings = SETTINGS | {"unix_socket_directories": str(home)} | settings
        self._child: Child | None = None
        self._databases = 0
        self.port = free_port()

    def initialise(self) -> None:
        """Make its folder and its files."""
        if self._user:
            entry = pwd.getpwnam(self._user)
            os.chown(self._home, entry.pw_uid, entry.pw_gid)
        self.as_itself(
            *(str(self._programs / "initdb"), "-D", str(self._home / "data"), "-U", "postgres"),
            *("-A", "trust", "--no-sync", f"--wal-segsize={self._wal_segment_mb}"),
        )

    def start(self) -> None:
        """Start it; returns when it takes connections."""
        command = [str(self._programs / "postgres"), "-D", str(self._home / "data")]
        command += ["-p", str(self.port)]
        for name, value in self._settings.items():
            command += ["-c", f"{name}={value}"]
        log = _log(self._home, "postgres")
        child = self._child = Child("postgres", command, log, user=self._user, cwd=self._home)

        def ready() -> bool:
            assert child.exit_code is None, child.tail()
            try:
                self.connect("postgres").close()
            except psycopg2.OperationalError:
                return False
            return True

        wait_until(ready, 20, "PostgreSQL takes connections", every=0.05)

    def stop(self) -> None:
        """End it as a restart of its service does: whoever is connected is put out."""
        if self._child is not None:
            self._child.interrupt(signal.SIGINT)
            self._child.wait(20)

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()

    def limit_files(self, size: int | None) -> None:
        """Let no file of the server grow beyond `size` bytes, from now on; None: no limit.

        A disk that is full, without a disk to fill: the kernel cuts the write that would cross the
        limit short, as it does where no block is left, and PostgreSQL takes it for what it looks
        like ("could not extend file ...: wrote only 4096 of 8192 bytes", SQLSTATE 53100). It needs
        no rights, so it works in any container. A size in the middle of a page of 8 kB it must be,
        for a write that begins at the limit is refused by another error; and the write-ahead log,
        which is recycled and never too small, must have smaller files.
        """
        assert self._child is not None
        limit = "unlimited" if size is None else str(size)
        # Those it has, and those it will have.
        children = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children")
        for pid in [self._child.pid, *map(int, children.read_text().split())]:
            with suppress(subprocess.CalledProcessError):  # It has just ended.
                self.as_itself("prlimit", f"--pid={pid}", f"--fsize={limit}:")

    def log(self) -> str:
        return _log(self._home, "postgres").read_text()

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

    def as_itself(self, *command: str) -> None:
        """Run a command to its end as the user who runs the cluster."""
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            user=self._user,
            group=self._user,
            cwd=self._home,
        )


@contextmanager
def postgres(wal_segment_mb: int = 16, **settings: str) -> Iterator[Postgres]:
    """A started cluster that is gone afterwards; `settings` are its server's own."""
    home = Path(tempfile.mkdtemp(prefix="rollcall-postgres-"))
    cluster = Postgres(home, wal_segment_mb=wal_segment_mb, **settings)
    try:
        cluster.initialise()
        cluster.start()
        yield cluster
    finally:
        cluster.kill()
        shutil.rmtree(home, ignore_errors=True)


class Redis:
    """One Redis at one unix socket, under the test's hand. It keeps nothing on disk."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path = home / "redis.sock"
        self._program = parts.need("redis")
        self._child: Child | None = None
        self.url = f"unix://{quote(str(self._path))}?db=0"
        """As `REDIS_URL` wants it; the same for whichever Redis is started here next."""

    def start(self) -> None:
        """Start it, empty; returns when it answers."""
        command = [self._program, "--port", "0", "--unixsocket", str(self._path)]
        command += ["--save", "", "--dir", str(self._home)]
        child = self._child = Child("redis", command, _log(self._home, "redis"))

        def ready() -> bool:
            assert child.exit_code is None, child.tail()
            try:
                with self.client() as client:
                    return bool(client.ping())
            except redis_client.ConnectionError:
                return False

        wait_until(ready, 30, "Redis answers", every=0.02)

    def kill(self) -> None:
        """SIGKILL: all it held is gone, and nobody listens."""
        if self._child is not None:
            self._child.kill()

    def client(self) -> "redis_client.Redis":
        return redis_client.Redis.from_url(self.url)


@contextmanager
def redis() -> Iterator[Redis]:
    """A started Redis of the test's own."""
    home = Path(tempfile.mkdtemp(prefix="rollcall-redis-"))
    one = Redis(home)
    try:
        one.start()
        yield one
    finally:
        one.kill()
        shutil.rmtree(home, ignore_errors=True)


def _log(home: Path, name: str) -> Path:
    return home / f"{name}.log"
