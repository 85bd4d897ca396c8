"""A real registrar under the test's hand: started, killed, faulted, and asked what it holds."""

import json
import signal
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import parts
from tests.support.certificates import Issued
from tests.support.processes import Child
from tests.support.waiting import wait_until

CONFIGURATION = Path(__file__).with_name("kamailio.cfg")
REALM = "rollcall.test"

SILENCE = 1
"""Fault: requests are swallowed."""
CHALLENGE_FOR_EVER = 2
"""Fault: every request is answered by a fresh 401."""
NO_PASSWORD = 3
"""Fault: nobody is asked for a password."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One binding in the registrar's own location table."""

    uri: str
    expires: int
    """Seconds left."""
    call_id: str
    cseq: int


class Kamailio:
    """One Kamailio at an address of its own. Its tables die with it: it keeps nothing on disk.

    `issued` is the certificate it shows at `tls_port`; an IPv6 address stands in brackets. With
    `location_db` (a PostgreSQL URL) its bindings live in that database instead, shared by all who
    name it; `locations` is of no use then.
    """

    def __init__(
        self,
        address: str,
        port: int,
        home: Path,
        *,
        issued: Issued | None = None,
        tls_port: int = 0,
        location_db: str = "",
        max_contacts: int = 4,
        configuration: Path = CONFIGURATION,
        memory_mb: int = 64,
    ) -> None:
        self._configuration = configuration
        self._memory_mb = memory_mb
        self.address = address
        self.port = port
        self.tls_port = tls_port
        self._issued = issued
        self._location_db = location_db
        self._max_contacts = max_contacts
        self._home = home
        self._program = parts.need("kamailio")
        self._child: Child | None = None
        self._calls = 0
        self.is_up = False
        """True from when it answers until somebody here ends it."""

    def __repr__(self) -> str:
        return f"Kamailio({self.address}:{self.port})"

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    def start(self) -> None:
        """Start it, with empty tables; returns when it answers."""
        if self.is_running:
            return
        name = f"kamailio-{self.address}-{self.port}"
        run = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._home))
        command = [
            *(self._program, "-DD", "-E", "-f", str(self._configuration)),
            *(
                "-m",
                str(self._memory_mb),
                "-M",
                "16",
                "-x",
                "tlsf",
                "-X",
                "tlsf",
                "-Y",
                str(run),
                "-P",
                str(run / "pid"),
            ),
            *("-A", f"ADDRESS={self.address}", "-A", f"PORT={self.port}"),
            *("-A", f"MOST={self._max_contacts}"),
            *self._tls(),
            *(("-A", f"LOCATION_DB={self._location_db}") if self._location_db else ()),
        ]
        log = self._home / f"{name}.log"
        child = Child(name, command, log, dies_by=signal.SIGTERM)
        self._child = child

        def ready() -> bool:
            assert child.exit_code is None, child.tail()
            return self._answers()

        wait_until(ready, 30, f"{name} answers", every=0.05)
        self.is_up = True

    def kill(self) -> None:
        """SIGKILL, as a power cut would: nothing is said to anybody, the port is closed."""
        self.is_up = False
        if self._child is not None:
            self._child.kill()

    def stop(self) -> None:
        """An orderly end."""
        self.is_up = False
        if self._child is not None:
            self._child.stop()

    def restart_empty(self) -> None:
        """Killed and started at once: no bindings, and none of the nonces it gave out."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop the processes where they stand: the port stays open and nothing answers."""
        assert self._child is not None
        self._child.signal_group(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let frozen processes go on."""
        assert self._child is not None
        self._child.signal_group(signal.SIGCONT)

    def locations(self) -> dict[str, list[Contact]]:
        """Who is bound here by the registrar's own table: user -> live contacts."""
        found: dict[str, list[Contact]] = {}
        for domain in self.rpc("ul.dump")["Domains"]:
            for aor in domain["Domain"]["AoRs"]:
                contacts = [_contact(c["Contact"]) for c in aor["Info"]["Contacts"]]
                live = [c for c in contacts if c is not None]
                if live:
                    found[aor["Info"]["AoR"]] = live
        return found

    def set_fault(self, code: int | None, user: str = "*") -> None:
        """Answer `code` (or SILENCE, CHALLENGE_FOR_EVER) to one user or to all; None: no more."""
        if code is None:
            self._forget("fault", user)
        else:
            self.rpc("htable.seti", "fault", user, code)

    def set_password(self, user: str, password: str | None) -> None:
        """Another password for one user; None: again the rule `pw-USER`."""
        if password is None:
            self._forget("password", user)
        else:
            self.rpc("htable.sets", "password", user, password)

    def requests(self, method: str = "REGISTER") -> dict[str, int]:
        """Requests seen since it started, retransmissions too: user -> number."""
        rows = self.rpc("htable.dump", "seen")
        prefix = f"{method}:"
        return {
            item["name"].removeprefix(prefix): int(item["value"])
            for row in rows
            for item in row["slot"]
            if item["name"].startswith(prefix)
        }

    def rpc(self, method: str, *params: str | int) -> Any:
        """One JSON-RPC call; the result, or AssertionError with what Kamailio said."""
        self._calls += 1
        call = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": self._calls}
        request = urllib.request.Request(
            f"http://{self.address}:{self.port}/RPC", data=json.dumps(call).encode()
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            answer = json.load(response)
        assert "error" not in answer, f"{self}: {method}{params}: {answer['error']}"
        return answer["result"]

    def tail(self) -> str:
        """The end of its log."""
        return self._child.tail() if self._child is not None else f"--- {self}: never started"

    def _tls(self) -> list[str]:
        if self._issued is None:
            return []
        parts.need("kamailio's TLS module")
        name = f"certificate-{self.address}-{self.tls_port}"
        certificate, key = self._issued.written(self._home, name)
        facts = f"CERTIFICATE={certificate}", f"KEY={key}", f"TLS_PORT={self.tls_port}"
        return [word for fact in facts for word in ("-A", fact)]

    def _answers(self) -> bool:
        try:
            self.rpc("core.version")
        except (OSError, urllib.error.URLError):
            return False
        return True

    def _forget(self, table: str, key: str) -> None:
        if any(
            item["name"] == key for row in self.rpc("htable.dump", table) for item in row["slot"]
        ):
            self.rpc("htable.delete", table, key)


def _contact(raw: dict[str, Any]) -> Contact | None:
    """None for a binding that has run out and only waits to be swept."""
    expires = raw["Expires"]
    if not isinstance(expires, int) and not str(expires).lstrip("-").isdigit():
        return None
    if int(expires) <= 0:
        return None
    return Contact(raw["Address"], int(expires), raw["Call-ID"], int(raw["CSeq"]))


@contextmanager
def running(
    address: str,
    port: int,
    home: Path,
    *,
    issued: Issued | None = None,
    tls_port: int = 0,
    max_contacts: int = 4,
) -> Iterator[Kamailio]:
    """A started Kamailio that is gone afterwards."""
    registrar = Kamailio(
        address, port, home, issued=issued, tls_port=tls_port, max_contacts=max_contacts
    )
    try:
        registrar.start()
        yield registrar
    finally:
        registrar.kill()
