"""The product as its users run it: its real processes, its command line, its API."""

import base64
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from tests.support.processes import Child, free_port, wait_for_exit
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
ADMIN = "admin"
PASSWORD = "integration-tests-only"

RUNNING: list["Product"] = []
"""Products now running; a failing test shows the ends of their logs."""


class UnexpectedAnswer(Exception):
    """The API refused what it should do. Not a "not yet": whoever polls must not go on."""


class Product:
    """One installation with its own folder, port, database and Redis."""

    def __init__(
        self,
        home: Path,
        *,
        redis_url: str,
        database_url: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = ""
        self.web: Child | None = None
        self.beat: Child
        self.workers: list[Child] = []
        self._others: list[Child] = []
        self._commands = 0
        self.data_dir = home / "data"
        (self.data_dir / "run").mkdir(parents=True)
        self.env = {
            **clean_environment(),
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            "SIP_CONTACT": f"127.0.0.1:{free_port()}",
            "REDIS_URL": redis_url,
            # Tests count what agents send; who asks for proofs switches them on.
            "PROVE_EVERY": "0",
            "SECRET_KEY": "only-for-the-integration-tests-" + "x" * 40,
            "CREDENTIALS_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            **(env or {}),
        }
        if database_url:
            self.env["DATABASE_URL"] = database_url

    def start(self) -> None:
        """Migrate, make the admin and a token, and start all processes; returns when ready."""
        self.manage("migrate", "--noinput")
        self.manage(
            *("createsuperuser", "--noinput", "--username", ADMIN, "--email", "a@rollcall.test"),
            env={"DJANGO_SUPERUSER_PASSWORD": PASSWORD},
        )
        # The log of it comes before.
        self.token = self.manage("create_token", ADMIN).split()[-1]
        self.start_processes()

    def start_processes(self) -> None:
        """Start all processes on a database that is ready; returns when they are."""
        RUNNING.append(self)
        self._others.append(self._child("answerer", sys.executable, "manage.py", "answerer"))
        self.start_web()
        self.start_worker()
        self.beat = self.start_beat("beat")
        wait_until(self._is_ready, 60, f"{self.url}/readyz says 200", seen=self._readiness)

    def start_web(self) -> None:
        """The web process, at the product's port."""
        self.web = self._child(
            *("web", sys.executable, "-m", "uvicorn", "fleet.config.asgi:application"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--loop", "uvloop"),
            *("--ws-per-message-deflate", "false", "--timeout-graceful-shutdown", "3"),
        )

    def start_beat(self, name: str) -> Child:
        """Celery's beat; a second one is a mistake that must do no harm."""
        beat = self._child(
            *(name, sys.executable, "-m", "celery", "-A", "fleet.config.celery", "beat"),
            *("--schedule", str(self.home / f"{name}-schedule")),
        )
        self._others.append(beat)
        return beat

    def start_worker(
        self,
        app: str = "fleet.config.celery",
        env: Mapping[str, str] | None = None,
        tree: Path = ROOT,
    ) -> Child:
        """Another worker beside those that run; it takes the name of one that is gone.

        `app` may be one with a fault built in, `tree` the source of another version.
        """
        taken = {worker.name for worker in self.running_workers()}
        name = next(n for i in count(1) if (n := f"worker-{i}") not in taken)
        worker = self._child(
            *(name, sys.executable, "-m", "celery", "-A", app, "worker"),
            *("-P", "threads", "-c", "16", "-n", f"{name}-{self.port}@%h", "-Q", "rollcall"),
            *("--without-mingle", "--without-gossip"),
            env=env,
            cwd=tree,
        )
        self.workers.append(worker)
        return worker

    def running_workers(self) -> list[Child]:
        return [worker for worker in self.workers if worker.exit_code is None]

    def stop(self) -> None:
        """End every process; none is left behind whatever happened."""
        children = [*self._others[1:], *self.workers, *([self.web] if self.web else [])]
        children += self._others[:1]
        for child in children:
            if child.exit_code is None:
                child.signal_group(signal.SIGCONT)
                child.interrupt(signal.SIGTERM)
        for child in children:
            child.stop(within=8)
        if self in RUNNING:
            RUNNING.remove(self)

    def manage(self, *args: str, env: Mapping[str, str] | None = None, fails: bool = False) -> str:
        """Run a command of manage.py to its end and return what it printed on stdout and stderr.

        AssertionError unless it succeeds (with `fails`, unless it fails).
        """
        self._commands += 1
        log = self.home / f"command-{self._commands}-{args[0]}.log"
        command = [sys.executable, "manage.py", *args]
        child = Child(args[0], command, log, env={**self.env, **(env or {})}, cwd=ROOT)
        try:
            code = wait_for_exit(child, 120)
        finally:
            child.kill()
        assert (code != 0) == fails, child.tail(60)
        return log.read_text()

    def import_fleet(self, fleet: Mapping[str, Any]) -> str:
        """Write the fleet file and import it by the command an admin would use."""
        path = self.home / f"fleet-{self._commands}.yaml"
        path.write_text(yaml.safe_dump(dict(fleet)))
        return self.manage("import_fleet", str(path))

    def request(
        self, method: str, path: str, body: object = None, **query: object
    ) -> tuple[int, bytes]:
        """One request with the admin's token: the status and the body, whatever the status is."""
        address = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        request = urllib.request.Request(
            address,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Token {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def get(self, path: str, **query: object) -> Any:
        """The decoded JSON of a 200; raises UnexpectedAnswer."""
        status, body = self.request("GET", path, **query)
        if status != 200:
            raise UnexpectedAnswer(f"GET {path} {query}: {status} {body[:500]!r}")
        return json.loads(body)

    def post(self, path: str, body: object) -> Any:
        """The decoded JSON of a 201 (or 200); raises UnexpectedAnswer."""
        status, answer = self.request("POST", path, body)
        if status not in (200, 201):
            raise UnexpectedAnswer(f"POST {path} {body}: {status} {answer[:500]!r}")
        return json.loads(answer)

    def every(self, resource: str, **query: object) -> list[dict[str, Any]]:
        """All rows of a list under /api/v1/, page after page."""
        rows: list[dict[str, Any]] = []
        page = self.get(f"/api/v1/{resource}/", page_size=1000, **query)
        while True:
            rows += page["results"]
            if not page["next"]:
                assert len(rows) == page["count"]
                return rows
            page = self.get(page["next"].removeprefix(self.url))

    def registrations(self, **query: object) -> list[dict[str, Any]]:
        return self.every("registrations", **query)

    def states(self, **query: object) -> Counter[str]:
        """How many registrations are in each shown state."""
        return Counter(row["state"] for row in self.registrations(**query))

    def tails(self, lines: int = 25) -> str:
        """The ends of all its logs."""
        children = [*self._others, *self.workers, *([self.web] if self.web else [])]
        return "\n".join(child.tail(lines) for child in children)

    def _child(
        self,
        name: str,
        *command: str,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> Child:
        given = {**self.env, **(env or {})}
        return Child(name, command, self.home / f"{name}.log", env=given, cwd=cwd)

    def _readiness(self) -> tuple[int, bytes] | str:
        try:
            return self.request("GET", "/readyz")
        except OSError as error:
            return repr(error)

    def _is_ready(self) -> bool:
        for child in [*self._others, *self.workers, *([self.web] if self.web else [])]:
            assert child.exit_code is None, child.tail()
        answer = self._readiness()
        return isinstance(answer, tuple) and answer[0] == 200


def clean_environment() -> dict[str, str]:
    """What a child gets of ours: nothing that would point the product somewhere else."""
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "TZ", "TMPDIR"}}
    return {**kept, "PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "fleet.config.settings"}


@contextmanager
def running(
    home: Path, *, redis_url: str, database_url: str = "", env: Mapping[str, str] | None = None
) -> Iterator[Product]:
    """A started product that is gone afterwards; `env` is given to all its processes."""
    home.mkdir(parents=True, exist_ok=True)
    product = Product(home, redis_url=redis_url, database_url=database_url, env=env)
    try:
        product.start()
        yield product
    finally:
        product.stop()
