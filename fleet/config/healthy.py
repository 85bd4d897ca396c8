"""Whether the process of this container does its work: Docker's health checks run it.

`healthy.py stirred|web|answerer` ends with 0 or 1. Docker only tells of whoever hangs: so that it
is started again, this kills what has been dead for a minute. Standard library only: it runs every
ten seconds in every container.
"""

import os
import signal
import socket
import sys
import time
import urllib.request
from pathlib import Path

ALIVE = Path(os.environ.get("ALIVE_FILE") or "/tmp/alive")  # noqa: S108 - a container's own
QUIET_S = 20.0
"""Who has not stirred for so long is unhealthy."""
DEAD_S = 60.0
WAIT_S = 2.0


def stirred() -> bool:
    """The worker's and beat's own word: they touch the file while they work."""
    return time.time() - _last() < QUIET_S


def web() -> bool:
    """The web server answers."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:8000/healthz", timeout=WAIT_S):
            ALIVE.touch()
            return True
    except OSError:
        return False


def answerer() -> bool:
    """The answerer answers a question that any registrar might ask."""
    host, _, port = os.environ.get("SIP_CONTACT", "").rpartition(":")
    for place in ("127.0.0.1", host.strip("[]")):
        if place and _answers(place, int(port or 9000)):
            ALIVE.touch()
            return True
    return False


def _answers(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    call = f"{os.getpid()}.{time.time_ns()}"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.settimeout(WAIT_S / 2)
            asking.connect((host, port))
            own = asking.getsockname()[0]
            asking.send(
                (
                    f"OPTIONS sip:health@{host}:{port} SIP/2.0\r\n"
                    f"Via: SIP/2.0/UDP {own}:{asking.getsockname()[1]};branch=z9hG4bK{call}\r\n"
                    f"From: <sip:health@{own}>;tag={call}\r\nTo: <sip:health@{host}>\r\n"
                    f"Call-ID: {call}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 1\r\n"
                    "Content-Length: 0\r\n\r\n"
                ).encode()
            )
            return asking.recv(2000).startswith(b"SIP/2.0 200")
    except OSError:
        return False


def _last() -> float:
    """When it stirred last; it counts from the first look."""
    if not ALIVE.exists():
        ALIVE.touch()
    return ALIVE.stat().st_mtime


def kill_main() -> None:
    """End what the container runs: the child of its init, which then ends as well."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == "1":
                os.kill(int(entry.name), signal.SIGKILL)
        except (OSError, IndexError):
            continue  # it has ended meanwhile


def main(what: str) -> int:
    """Judge, and end what is past hope."""
    last = _last()
    if {"stirred": stirred, "web": web, "answerer": answerer}[what]():
        return 0
    sys.stdout.write(f"not heard of for {time.time() - last:.0f} s\n")
    if time.time() - last > DEAD_S and os.getpid() != 1:
        kill_main()
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
