"""The judge itself is judged: Kamailio as these tests run it, spoken to by sipp and by hand."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from tests.support import parts
from tests.support.kamailio import SILENCE, Kamailio
from tests.support.processes import processes_with
from tests.support.product import ROOT
from tests.support.waiting import wait_until

SCENARIO = Path(__file__).parents[1] / "support" / "register.xml"


RUN_BY_ANOTHER = """
import sys, time
from pathlib import Path
from tests.support.kamailio import Kamailio
from tests.support.processes import free_port
Kamailio("127.0.0.4", free_port("127.0.0.4"), Path(sys.argv[1])).start()
print("it answers", flush=True)
time.sleep(600)
"""


def sipp_registers(registrar: Kamailio, users: dict[str, str], folder: Path) -> int:
    """Register users (name -> password) once each; sipp's exit code: 0 when all were taken."""
    lines = [f"{u};[authentication username={u} password={p}];40" for u, p in users.items()]
    injection = folder / "users.csv"
    injection.write_text("\n".join(["SEQUENTIAL", *lines, ""]))
    command = [
        *(parts.need("sipp"), f"{registrar.address}:{registrar.port}", "-sf", str(SCENARIO)),
        *("-inf", str(injection), "-m", str(len(users)), "-r", "100", "-i", "127.0.0.1"),
        *("-nostdin", "-timeout", "60s", "-timeout_error"),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, env={"TERM": "xterm"})
    return done.returncode


def ask(registrar: Kamailio, user: str) -> bytes | None:
    """One REGISTER without credentials; the answer, or None when nothing comes in three seconds."""
    request = (
        "REGISTER sip:rollcall.test SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKask;rport\r\n"
        f"From: <sip:{user}@rollcall.test>;tag=1\r\nTo: <sip:{user}@rollcall.test>\r\n"
        "Call-ID: ask\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    with socket.socket(type=socket.SOCK_DGRAM) as wire:
        wire.settimeout(3)
        wire.connect((registrar.address, registrar.port))
        wire.send(request.encode())
        try:
            return wire.recv(4096)
        except TimeoutError:
            return None


def test_registered_users_stand_in_the_location_table(registrar: Kamailio, tmp_path: Path) -> None:
    users = {str(n): f"pw-{n}" for n in range(7000, 7500)}
    assert sipp_registers(registrar, users, tmp_path) == 0
    found = registrar.locations()
    assert sorted(found) == sorted(users)
    assert all(len(contacts) == 1 and 0 < contacts[0].expires <= 40 for contacts in found.values())
    requests = registrar.requests()
    assert sorted(requests) == sorted(users)
    # Where the machine is slow, sipp asks some of them again.
    assert min(requests.values()) == median(requests.values()) == 2


def test_a_wrong_password_is_refused_and_binds_nobody(registrar: Kamailio, tmp_path: Path) -> None:
    registrar.set_password("7100", "something else")
    assert sipp_registers(registrar, {"7100": "pw-7100"}, tmp_path) != 0
    assert registrar.locations() == {}
    registrar.set_password("7100", None)
    assert sipp_registers(registrar, {"7100": "pw-7100"}, tmp_path) == 0
    assert list(registrar.locations()) == ["7100"]


def test_faults_are_set_and_lifted_while_it_runs(registrar: Kamailio) -> None:
    registrar.set_fault(503)
    assert (ask(registrar, "7200") or b"").startswith(b"SIP/2.0 503 Ordered by the test")
    registrar.set_fault(403, "7200")
    assert (ask(registrar, "7200") or b"").startswith(b"SIP/2.0 403")
    assert (ask(registrar, "7201") or b"").startswith(b"SIP/2.0 503")
    registrar.set_fault(SILENCE, "7200")
    assert ask(registrar, "7200") is None
    registrar.set_fault(None, "7200")
    registrar.set_fault(None)
    assert (ask(registrar, "7200") or b"").startswith(b"SIP/2.0 401")


def test_a_killed_registrar_refuses_at_once_and_comes_back_empty(
    registrar: Kamailio, tmp_path: Path
) -> None:
    assert sipp_registers(registrar, {"7300": "pw-7300"}, tmp_path) == 0
    registrar.kill()
    with pytest.raises(ConnectionRefusedError):
        ask(registrar, "7300")
    registrar.start()
    assert registrar.locations() == {}
    assert registrar.requests() == {}


def test_a_frozen_registrar_is_silent_until_it_is_thawed(registrar: Kamailio) -> None:
    registrar.freeze()
    assert ask(registrar, "7400") is None
    registrar.thaw()
    wait_until(lambda: ask(registrar, "7400"), 30, "the thawed registrar answers")


def test_nothing_of_it_outlives_whoever_ran_it_and_was_killed(tmp_path: Path) -> None:
    mark = str(tmp_path)
    env = os.environ | {"RUN_BY_ANOTHER": mark}
    command = [sys.executable, "-c", RUN_BY_ANOTHER, mark]
    with subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        assert len(processes_with("RUN_BY_ANOTHER", mark)) > 2
        other.kill()
    wait_until(
        lambda: not processes_with("RUN_BY_ANOTHER", mark),
        60,
        "the registrar and its workers end",
        seen=lambda: processes_with("RUN_BY_ANOTHER", mark),
    )
