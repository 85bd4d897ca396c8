"""A real registrar, and the two clients written in C that we are measured beside."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import parts
from tests.support.kamailio import REALM, Kamailio
from tests.support.processes import Child, free_port

HERE = Path(__file__).parent
SCENARIO = HERE / "register.xml"
MEMORY_MB = 512
LONGEST_S = 60
CORES = sorted(os.sched_getaffinity(0))
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Taken:
    """What it took to register everybody, in seconds by the clock and of one processor."""

    seconds: float
    cpu: float


class OnOwnCore(Kamailio):
    """A registrar that takes no time of its clients' cores, where there is more than one."""

    def start(self) -> None:
        with cores_kept(CORES[-1:]):
            super().start()


@contextmanager
def cores_kept(cores: Sequence[int]) -> Iterator[None]:
    """Run on these cores alone meanwhile, with whatever is started."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def registrars(count: int = 1, kind: type[Kamailio] = Kamailio) -> Iterator[list[Kamailio]]:
    """So many running registrars on addresses of their own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-registrar-") as home:
        made = [
            kind(
                *(address := f"127.0.0.{n}", free_port(address), Path(home)),
                configuration=HERE / "registrar.cfg",
                memory_mb=MEMORY_MB,
            )
            for n in range(2, 2 + count)
        ]
        try:
            for each in made:
                each.start()
            yield made
        finally:
            for each in made:
                each.kill()


FIRST_USER = 1_000_000


def users(count: int) -> list[str]:
    """So many extensions, which are the users of the addresses of record too."""
    return [str(FIRST_USER + n) for n in range(count)]


def bound(registrar: Kamailio) -> int:
    """How many the registrar holds, by its own count."""
    return _statistic(registrar, "registered_users")


def requests(registrar: Kamailio) -> int:
    """How many REGISTERs it has had, by its own count."""
    return _statistic(registrar, "rcv_requests_register")


def _statistic(registrar: Kamailio, name: str) -> int:
    (told,) = registrar.rpc("stats.get_statistics", name)
    return int(told.partition("=")[2])


def sipp(registrar: Kamailio, users: Sequence[str], expires: int = 3600) -> Taken:
    """SIPp registers each of them once, with digest, over one socket, as fast as it can.

    The registrar is empty at its begin. A round in which a call failed, as on a machine that is
    busy with something else, is made again.
    """
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-sipp-") as home:
        rows = "".join(
            f"{user};[authentication username={user} password=pw-{user}];{expires}\n"
            for user in users
        )
        (Path(home) / "users.csv").write_text(f"SEQUENTIAL\n{rows}")
        command = [
            *(parts.need("sipp"), "-sf", str(SCENARIO), "-inf", f"{home}/users.csv"),
            *("-i", "127.0.0.1", "-p", str(free_port()), "-t", "u1", "-m", str(len(users))),
            *("-r", "200000", "-l", "3000", "-nostdin", "-buff_size", "4000000"),
            *("-timeout", str(LONGEST_S)),
            f"{registrar.address}:{registrar.port}",
        ]
        for _ in range(ROUNDS):
            registrar.restart_empty()
            taken = _run(command, home)
            if taken is not None:
                return taken
    raise RuntimeError(f"SIPp did not register all {len(users)} in {ROUNDS} rounds")


def _run(command: Sequence[str], home: str) -> Taken | None:
    began = time.monotonic()
    child = subprocess.Popen(  # noqa: S603 - our own
        command, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _, status, used = os.wait4(child.pid, 0)
    except BaseException:
        child.kill()
        raise
    took = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    return None if child.returncode else Taken(took, used.ru_utime + used.ru_stime)


def uac(registrar: Kamailio, users: Sequence[str]) -> float:
    """Kamailio's `uac` registers each of them; seconds from the first to the last one bound."""
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-uac-") as home:
        _write_table(Path(home), registrar, users)
        run = Path(home) / "run"
        run.mkdir()
        place = ("127.0.0.9", free_port("127.0.0.9"))
        command = [
            *(parts.need("kamailio"), "-DD", "-E", "-f", str(HERE / "uac.cfg")),
            *("-m", "256", "-M", "32", "-x", "tlsf", "-X", "tlsf", "-Y", str(run)),
            *("-P", str(run / "pid"), "-A", f"ADDRESS={place[0]}", "-A", f"PORT={place[1]}"),
            *("-A", f"TABLES={home}"),
        ]
        child = Child("uac", command, Path(home) / "uac.log", dies_by=signal.SIGTERM)
        try:
            return _first_to_last(registrar, len(users), child)
        finally:
            child.kill()


def _first_to_last(registrar: Kamailio, wanted: int, child: Child) -> float:
    started = began = time.monotonic()
    while (held := bound(registrar)) < wanted:
        at = time.monotonic()
        if not held:
            began = at
        if child.exit_code is not None or at - started > LONGEST_S:
            raise RuntimeError(f"{held} of {wanted} were bound\n{child.tail()}")
        time.sleep(0.01)
    return time.monotonic() - began


_COLUMNS = (
    *("id(int,auto)", "l_uuid(string)", "l_username(string)", "l_domain(string)"),
    *("r_username(string)", "r_domain(string)", "realm(string)", "auth_username(string)"),
    *("auth_password(string)", "auth_ha1(string,null)", "auth_proxy(string)", "expires(int)"),
    *("flags(int)", "reg_delay(int)", "contact_addr(string,null)", "socket(string,null)"),
)


def _write_table(home: Path, registrar: Kamailio, users: Sequence[str]) -> None:
    proxy = f"sip\\:{registrar.address}\\:{registrar.port}"
    rows = (
        f"{n}:{user}:{user}:{REALM}:{user}:{REALM}:{REALM}:{user}:pw-{user}::{proxy}:3600:0:0::"
        for n, user in enumerate(users, 1)
    )
    (home / "uacreg").write_text("\n".join([" ".join(_COLUMNS), *rows, ""]))
    (home / "version").write_text("table_name(string) table_version(int)\nuacreg:5\n")
