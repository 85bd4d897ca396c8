"""A real DNS server under the test's hand: dnsmasq on loopback, with the test's own records."""

import signal
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support import parts
from tests.support.processes import Child, free_port
from tests.support.waiting import wait_until

ADDRESS = "127.0.0.53"
ZONE = "test"


class Dns:
    """dnsmasq, authoritative for `.test`: a name it was not given does not exist."""

    def __init__(self, home: Path) -> None:
        self.port = free_port(ADDRESS)
        self.place = (ADDRESS, self.port)
        self._home = home
        self._child: Child | None = None

    def start(self, records: Sequence[str], ttl: int = 60) -> None:
        """Serve these records (dnsmasq's own options without the dashes) for `ttl` seconds."""
        self.stop()
        options = ["no-daemon", "conf-file=/dev/null", "no-resolv", "no-hosts", "log-queries"]
        options += [f"port={self.port}", f"listen-address={ADDRESS}", "bind-interfaces"]
        options += [f"local=/{ZONE}/", f"local-ttl={ttl}", "user=root", "no-ident", *records]
        command = [parts.need("dnsmasq"), *(f"--{option}" for option in options)]
        self._child = Child("dnsmasq", command, self._home / "dnsmasq.log")
        wait_until(self._answers, 30, "dnsmasq answers", every=0.05)

    def freeze(self) -> None:
        """It hears nothing from now on and answers nobody, as a dead machine."""
        assert self._child is not None
        self._child.signal_group(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._child is not None
        self._child.signal_group(signal.SIGCONT)

    def asked(self, kind: str, name: str) -> int:
        """How often it was asked."""
        return self.queries().count(f"query[{kind}] {name} from")

    def queries(self) -> str:
        return (self._home / "dnsmasq.log").read_text()

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    def _answers(self) -> bool:
        query = b"\0\1\1\0\0\1\0\0\0\0\0\0\5ready\4test\0\0\1\0\1"
        with socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.2)
            try:
                asking.connect(self.place)
                asking.send(query)
                return bool(asking.recv(512))
            except OSError:
                return False


@contextmanager
def dns(*records: str, ttl: int = 60) -> Iterator[Dns]:
    parts.need("dnsmasq")
    with tempfile.TemporaryDirectory(prefix="rollcall-dns-") as home:
        made = Dns(Path(home))
        try:
            made.start(records, ttl)
            yield made
        finally:
            made.stop()
